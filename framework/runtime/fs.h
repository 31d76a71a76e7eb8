/* What await_fs.h has not: closing where nobody can wait, such as in a destructor. */
#ifndef ACACIA_FS_H
#define ACACIA_FS_H

/* At once, on the loop's thread. */
void fs_close(int file);

#endif

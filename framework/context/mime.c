#include "context/mime.h"

#include "context/mime_table.h"

#include <stdlib.h>
#include <string.h>

#define EXTENSION_MAX 24

/* The types application/… that are UTF-8 without being told so. */
static const char *const utf8_types[] = {
    "3gpdash-qoe-report+xml",
    "beep+xml",
    "cda+xml",
    "elm+json",
    "emergencycalldata.cap+xml",
    "fhir+json",
    "fhir+xml",
    "hl7v2+xml",
    "im-iscomposing+xml",
    "javascript",
    "json",
    "manifest+json",
    "msc-ivr+xml",
    "msc-mixer+xml",
    "pidf+xml",
    "pidf-diff+xml",
    "poc-settings+xml",
    "vnd.omads-email+xml",
    "vnd.omads-file+xml",
    "vnd.omads-folder+xml",
    "vnd.syncml+xml",
    "vnd.syncml.dm+wbxml",
    "vnd.syncml.dm+xml",
    "vnd.syncml.dmddf+xml",
    "vnd.syncml.dmtnds+xml",
    "vnd.wap.wbxml",
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Not tolower(), which asks the locale. */
static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int compare_extension(const void *key, const void *entry) {
    return strcmp(key, ((const struct mime *)entry)->extension);
}

const char *mime_of_extension(const char *extension, size_t n) {
    size_t start = n;
    while (start > 0 && extension[start - 1] != '.')
        start--;
    size_t length = n - start;
    if (length > EXTENSION_MAX)
        return NULL;
    char key[EXTENSION_MAX + 1] = {0};
    for (size_t i = 0; i < length; i++)
        key[i] = lower(extension[start + i]);
    /* A NUL within would hide what comes after it. */
    if (strlen(key) != length)
        return NULL;
    const struct mime *found =
        bsearch(key, mimes, LENGTH(mimes), sizeof mimes[0], compare_extension);
    return found ? found->type : NULL;
}

/* `length` bytes of text, of which the case does not matter, compared to a lower-case prefix. */
static bool starts_with(const char *text, size_t length, const char *prefix) {
    size_t i = 0;
    while (prefix[i] != '\0' && i < length && lower(text[i]) == prefix[i])
        i++;
    return prefix[i] == '\0';
}

bool mime_needs_charset(const char *type) {
    static const char spaces[] = " \t\r\n\v\f";
    static const char application[] = "application/";
    if (strstr(type, "charset"))
        return false;
    type += strspn(type, spaces);
    size_t length = strcspn(type, " \t\r\n\v\f;");
    if (starts_with(type, length, "text/"))
        return true;
    if (!starts_with(type, length, application))
        return false;
    type += strlen(application);
    length -= strlen(application);
    for (size_t i = 0; i < LENGTH(utf8_types); i++)
        if (strlen(utf8_types[i]) == length && starts_with(type, length, utf8_types[i]))
            return true;
    return false;
}

#include "context/http_date.h"

#include <stddef.h>
#include <string.h>

#define DAY 86400
#define EPOCH 719528                                /* days from 0000-01-01 to 1970-01-01 */
#define FIRST (-(int64_t)EPOCH * DAY)               /* 0000-01-01 00:00:00 */
#define LAST ((3652425 - EPOCH) * (int64_t)DAY - 1) /* 9999-12-31 23:59:59 */

static const char weekdays[7][10] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                     "Thursday", "Friday", "Saturday"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct date {
    int year, month, day; /* month and day count from 1 */
    int hour, minute, second;
    int offset; /* how many minutes its clock is ahead of UTC */
};

/* --- The calendar ----------------------------------------------------------------------------- */

static bool is_leap(int year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days of the year before the month, which may be 13. */
static int days_before(int year, int month) {
    static const int days[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    return days[month - 1] + (month > 2 && is_leap(year));
}

/* Days since 1970. Of the years from 0 on, that of 0 included, every fourth was a leap year. */
static int day_number(int year, int month, int day) {
    int leaps = (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    return 365 * year + leaps + days_before(year, month) + day - 1 - EPOCH;
}

static bool is_valid(const struct date *date) {
    bool leap_second = date->hour == 23 && date->minute == 59 && date->second == 60;
    return date->month >= 1 && date->month <= 12 && date->day >= 1 &&
           date->day <=
               days_before(date->year, date->month + 1) - days_before(date->year, date->month) &&
           date->hour <= 23 && date->minute <= 59 && (date->second <= 59 || leap_second);
}

/* --- Writing ---------------------------------------------------------------------------------- */

static void put_number(char *to, int digits, int number) {
    for (; digits > 0; number /= 10)
        to[--digits] = (char)('0' + number % 10);
}

void http_date_format(char text[HTTP_DATE_SIZE], int64_t seconds) {
    seconds = seconds < FIRST ? FIRST : seconds > LAST ? LAST : seconds;
    int day = (int)((seconds - FIRST) / DAY), second = (int)((seconds - FIRST) % DAY);
    int year = (int)((int64_t)day * 400 / 146097), month = 1; /* so many days are 400 years */
    int weekday = (day + 6) % 7;                              /* 0000-01-01 was a Saturday */
    day -= EPOCH;
    /* The estimate may be a year off, either way. */
    year -= day_number(year, 1, 1) > day;
    year += day_number(year + 1, 1, 1) <= day;
    while (month < 12 && day_number(year, month + 1, 1) <= day)
        month++;
    memcpy(text, "Sun, 06 Nov 1994 08:49:37 GMT", HTTP_DATE_SIZE);
    memcpy(text, weekdays[weekday], 3);
    put_number(text + 5, 2, day - day_number(year, month, 1) + 1);
    memcpy(text + 8, months[month - 1], 3);
    put_number(text + 12, 4, year);
    put_number(text + 17, 2, second / 3600);
    put_number(text + 20, 2, second / 60 % 60);
    put_number(text + 23, 2, second % 60);
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* Once something isn't there, `wrong` stays. What is read after that does not matter. */
struct reader {
    const char *at;
    bool wrong;
};

static bool accept(struct reader *reader, const char *text) {
    size_t length = strlen(text);
    if (strncmp(reader->at, text, length) != 0)
        return false;
    reader->at += length;
    return true;
}

static void expect(struct reader *reader, const char *text) {
    if (!accept(reader, text))
        reader->wrong = true;
}

static bool at_digit(const struct reader *reader) {
    return *reader->at >= '0' && *reader->at <= '9';
}

static int read_number(struct reader *reader, int digits) {
    int number = 0;
    for (; digits > 0 && at_digit(reader); digits--)
        number = number * 10 + *reader->at++ - '0';
    reader->wrong |= digits > 0;
    return number;
}

static int read_month(struct reader *reader) {
    for (int month = 1; month <= 12; month++)
        if (accept(reader, months[month - 1]))
            return month;
    reader->wrong = true;
    return 0;
}

static void read_time(struct reader *reader, struct date *date) {
    date->hour = read_number(reader, 2);
    expect(reader, ":");
    date->minute = read_number(reader, 2);
    expect(reader, ":");
    date->second = read_number(reader, 2);
}

/* "06 Nov 1994 08:49:37 GMT" */
static void read_imf(struct reader *reader, struct date *date) {
    date->day = read_number(reader, 2);
    expect(reader, " ");
    date->month = read_month(reader);
    expect(reader, " ");
    date->year = read_number(reader, 4);
    expect(reader, " ");
    read_time(reader, date);
    expect(reader, " GMT");
}

/* "06-Nov-94 08:49:37 GMT" */
static void read_rfc850(struct reader *reader, struct date *date) {
    date->day = read_number(reader, 2);
    expect(reader, "-");
    date->month = read_month(reader);
    expect(reader, "-");
    date->year = read_number(reader, 2);
    date->year += date->year < 50 ? 2000 : 1900;
    expect(reader, " ");
    read_time(reader, date);
    expect(reader, " GMT");
}

/* "Nov  6 08:49:37 1994" */
static void read_asctime(struct reader *reader, struct date *date) {
    date->month = read_month(reader);
    expect(reader, " ");
    date->day = read_number(reader, accept(reader, " ") ? 1 : 2);
    expect(reader, " ");
    read_time(reader, date);
    expect(reader, " ");
    date->year = read_number(reader, 4);
}

/* "Z" or "+01:00" */
static void read_zone(struct reader *reader, struct date *date) {
    if (accept(reader, "Z"))
        return;
    int sign = accept(reader, "-") ? -1 : 1;
    if (sign > 0)
        expect(reader, "+");
    int hours = read_number(reader, 2);
    expect(reader, ":");
    int minutes = read_number(reader, 2);
    date->offset = sign * (60 * hours + minutes);
    reader->wrong |= hours > 23 || minutes > 59;
}

/* "1994-11-06", "1994-11-06T08:49Z", "1994-11-06T08:49:37.5+01:00" */
static void read_iso(struct reader *reader, struct date *date) {
    date->year = read_number(reader, 4);
    expect(reader, "-");
    date->month = read_number(reader, 2);
    expect(reader, "-");
    date->day = read_number(reader, 2);
    if (!accept(reader, "T"))
        return;
    date->hour = read_number(reader, 2);
    expect(reader, ":");
    date->minute = read_number(reader, 2);
    if (accept(reader, ":")) {
        date->second = read_number(reader, 2);
        if (accept(reader, "."))
            do
                read_number(reader, 1);
            while (at_digit(reader));
    }
    read_zone(reader, date);
}

/* The three of HTTP begin with the day of the week, in full or its first three letters. */
static void read_http(struct reader *reader, struct date *date) {
    for (int i = 0; i < 7; i++) {
        if (strncmp(reader->at, weekdays[i], 3) != 0)
            continue;
        if (accept(reader, weekdays[i])) {
            expect(reader, ", ");
            read_rfc850(reader, date);
            return;
        }
        reader->at += 3;
        if (accept(reader, ", ")) {
            read_imf(reader, date);
        } else {
            expect(reader, " ");
            read_asctime(reader, date);
        }
        return;
    }
    reader->wrong = true;
}

bool http_date_parse(const char *text, int64_t *seconds) {
    struct reader reader = {.at = text};
    struct date date = {0};
    if (at_digit(&reader))
        read_iso(&reader, &date);
    else
        read_http(&reader, &date);
    if (reader.wrong || *reader.at != '\0' || !is_valid(&date))
        return false;
    int minutes = date.hour * 60 + date.minute - date.offset;
    *seconds =
        (int64_t)day_number(date.year, date.month, date.day) * DAY + minutes * 60 + date.second;
    return true;
}

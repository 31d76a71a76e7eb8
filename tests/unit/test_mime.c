/* Media types by extension. The .c is included so that the table itself can be looked at. */
#include "context/mime.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *type_of(const char *extension) {
    return mime_of_extension(extension, strlen(extension));
}

static void table_is_sorted(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(mimes); i++) {
        const char *extension = mimes[i].extension;
        if (i > 0 && strcmp(mimes[i - 1].extension, extension) >= 0)
            fail_msg("\"%s\" is out of order", extension);
        assert_true(strlen(extension) <= EXTENSION_MAX);
        assert_ptr_equal(type_of(extension), mimes[i].type);
    }
}

static void common_types(void **state) {
    (void)state;
    assert_string_equal(type_of("html"), "text/html");
    assert_string_equal(type_of("css"), "text/css");
    assert_string_equal(type_of("js"), "text/javascript");
    assert_string_equal(type_of("mjs"), "text/javascript");
    assert_string_equal(type_of("json"), "application/json");
    assert_string_equal(type_of("txt"), "text/plain");
    assert_string_equal(type_of("text"), "text/plain");
    assert_string_equal(type_of("bin"), "application/octet-stream");
    assert_string_equal(type_of("svg"), "image/svg+xml");
    assert_string_equal(type_of("png"), "image/png");
    assert_string_equal(type_of("jpg"), "image/jpeg");
    assert_string_equal(type_of("ico"), "image/vnd.microsoft.icon");
    assert_string_equal(type_of("woff2"), "font/woff2");
    assert_string_equal(type_of("mp4"), "video/mp4");
    assert_string_equal(type_of("wasm"), "application/wasm");
    assert_string_equal(type_of("webmanifest"), "application/manifest+json");
    assert_string_equal(type_of("xml"), "application/xml");
    assert_string_equal(type_of("7z"), "application/x-7z-compressed");
}

static void only_the_last_extension_counts(void **state) {
    (void)state;
    assert_string_equal(type_of(".css"), "text/css");
    assert_string_equal(type_of("a.min.css"), "text/css");
    assert_string_equal(type_of("..css"), "text/css");
    assert_string_equal(type_of("CSS"), "text/css");
    assert_string_equal(type_of(".Html"), "text/html");
    assert_string_equal(mime_of_extension("cssx", 3), "text/css");
}

static void unknown_extensions(void **state) {
    (void)state;
    assert_null(type_of(""));
    assert_null(type_of("."));
    assert_null(type_of("css."));
    assert_null(type_of("css "));
    assert_null(type_of("nothing"));
    assert_null(type_of("a.css/file"));
    assert_null(type_of("anextensionthatistoolong"));
    assert_null(mime_of_extension("css\0x", 5));
    assert_null(mime_of_extension("css\0", 4));
    assert_null(mime_of_extension("\0", 1));
}

static void charset_is_needed(void **state) {
    (void)state;
    assert_true(mime_needs_charset("text/html"));
    assert_true(mime_needs_charset("text/x-unheard-of"));
    assert_true(mime_needs_charset("TEXT/Plain"));
    assert_true(mime_needs_charset(" text/plain ; format=flowed"));
    assert_true(mime_needs_charset("text/"));
    assert_true(mime_needs_charset("application/json"));
    assert_true(mime_needs_charset("Application/JSON;x=1"));
    assert_true(mime_needs_charset("application/javascript"));
    assert_true(mime_needs_charset("application/manifest+json"));
}

static void charset_is_not_needed(void **state) {
    (void)state;
    assert_false(mime_needs_charset(""));
    assert_false(mime_needs_charset("text"));
    assert_false(mime_needs_charset("application/"));
    assert_false(mime_needs_charset("application/xml"));
    assert_false(mime_needs_charset("application/jso"));
    assert_false(mime_needs_charset("application/jsonp"));
    assert_false(mime_needs_charset("application/ld+json"));
    assert_false(mime_needs_charset("application/octet-stream"));
    assert_false(mime_needs_charset("image/svg+xml"));
    assert_false(mime_needs_charset("text/html; charset=latin1"));
    assert_false(mime_needs_charset("; text/html"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_sorted),
        cmocka_unit_test(common_types),
        cmocka_unit_test(only_the_last_extension_counts),
        cmocka_unit_test(unknown_extensions),
        cmocka_unit_test(charset_is_needed),
        cmocka_unit_test(charset_is_not_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

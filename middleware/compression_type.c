/* Which types gain by compression. */
#include "compression.h"

#include <string.h>
#include <strings.h>

/* Of those that mime-db 1.54 declares compressible, the ones that don't show it by their name. */
static const char *const types[] = {
    "application/dart",
    "application/ecmascript",
    "application/javascript",
    "application/json",
    "application/octet-stream",
    "application/postscript",
    "application/raml+yaml",
    "application/rtf",
    "application/tar",
    "application/toml",
    "application/vnd.dart",
    "application/vnd.ms-fontobject",
    "application/vnd.ms-opentype",
    "application/wasm",
    "application/x-httpd-php",
    "application/x-javascript",
    "application/x-ns-proxy-autoconfig",
    "application/x-sh",
    "application/x-tar",
    "application/x-virtualbox-hdd",
    "application/x-virtualbox-ova",
    "application/x-virtualbox-ovf",
    "application/x-virtualbox-vbox",
    "application/x-virtualbox-vdi",
    "application/x-virtualbox-vhd",
    "application/x-virtualbox-vmdk",
    "application/x-www-form-urlencoded",
    "application/xml",
    "application/xml-dtd",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/vnd.adobe.photoshop",
    "image/vnd.microsoft.icon",
    "image/vnd.ms-dds",
    "image/x-icon",
    "image/x-ms-bmp",
    "message/rfc822",
    "model/gltf-binary",
    "x-shader/x-fragment",
    "x-shader/x-vertex",
};

static bool ends_with(const char *type, size_t length, const char *suffix) {
    size_t n = strlen(suffix);
    return length >= n && strncasecmp(type + length - n, suffix, n) == 0;
}

bool compression_gains(const char *type) {
    type += strspn(type, " \t");
    size_t length = strcspn(type, "; \t");
    if (strncasecmp(type, "text/", 5) == 0 || ends_with(type, length, "+json") ||
        ends_with(type, length, "+text") || ends_with(type, length, "+xml"))
        return true;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strlen(types[i]) == length && strncasecmp(type, types[i], length) == 0)
            return true;
    return false;
}

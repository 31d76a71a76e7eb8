#include "context/mime.h"

#include <stdlib.h>
#include <string.h>

#define EXTENSION_MAX 11 /* strlen("webmanifest") */

struct mime {
    const char *extension, *type;
};

/* Sorted by extension, as strcmp has it. */
static const struct mime mimes[] = {
    {"3g2", "video/3gpp2"},
    {"3gp", "video/3gpp"},
    {"7z", "application/x-7z-compressed"},
    {"aac", "audio/aac"},
    {"ai", "application/postscript"},
    {"aif", "audio/x-aiff"},
    {"aiff", "audio/x-aiff"},
    {"apk", "application/vnd.android.package-archive"},
    {"apng", "image/apng"},
    {"appcache", "text/cache-manifest"},
    {"atom", "application/atom+xml"},
    {"avi", "video/x-msvideo"},
    {"avif", "image/avif"},
    {"bin", "application/octet-stream"},
    {"bmp", "image/bmp"},
    {"bz2", "application/x-bzip2"},
    {"c", "text/x-c"},
    {"cc", "text/x-c"},
    {"cer", "application/pkix-cert"},
    {"cjs", "application/node"},
    {"conf", "text/plain"},
    {"crl", "application/pkix-crl"},
    {"crt", "application/x-x509-ca-cert"},
    {"css", "text/css"},
    {"csv", "text/csv"},
    {"deb", "application/x-debian-package"},
    {"der", "application/x-x509-ca-cert"},
    {"dll", "application/x-msdownload"},
    {"dmg", "application/x-apple-diskimage"},
    {"doc", "application/msword"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"dtd", "application/xml-dtd"},
    {"eml", "message/rfc822"},
    {"eot", "application/vnd.ms-fontobject"},
    {"eps", "application/postscript"},
    {"epub", "application/epub+zip"},
    {"exe", "application/x-msdos-program"},
    {"flac", "audio/x-flac"},
    {"geojson", "application/geo+json"},
    {"gif", "image/gif"},
    {"glb", "model/gltf-binary"},
    {"gltf", "model/gltf+json"},
    {"gpx", "application/gpx+xml"},
    {"gz", "application/gzip"},
    {"h", "text/x-c"},
    {"heic", "image/heic"},
    {"heif", "image/heif"},
    {"htm", "text/html"},
    {"html", "text/html"},
    {"ico", "image/vnd.microsoft.icon"},
    {"ics", "text/calendar"},
    {"img", "application/octet-stream"},
    {"ini", "text/plain"},
    {"iso", "application/x-iso9660-image"},
    {"jar", "application/java-archive"},
    {"java", "text/x-java-source"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript"},
    {"json", "application/json"},
    {"json5", "application/json5"},
    {"jsonld", "application/ld+json"},
    {"jsx", "text/jsx"},
    {"jxl", "image/jxl"},
    {"kml", "application/vnd.google-earth.kml+xml"},
    {"kmz", "application/vnd.google-earth.kmz"},
    {"less", "text/less"},
    {"log", "text/plain"},
    {"lua", "text/x-lua"},
    {"m3u", "audio/x-mpegurl"},
    {"m3u8", "application/vnd.apple.mpegurl"},
    {"m4a", "audio/mp4"},
    {"m4v", "video/x-m4v"},
    {"map", "application/json"},
    {"markdown", "text/markdown"},
    {"md", "text/markdown"},
    {"mid", "audio/midi"},
    {"midi", "audio/midi"},
    {"mjs", "text/javascript"},
    {"mkv", "video/x-matroska"},
    {"mml", "text/mathml"},
    {"mobi", "application/x-mobipocket-ebook"},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpd", "application/dash+xml"},
    {"mpeg", "video/mpeg"},
    {"mpg", "video/mpeg"},
    {"msi", "application/x-msdownload"},
    {"n3", "text/n3"},
    {"nt", "application/n-triples"},
    {"obj", "model/obj"},
    {"odg", "application/vnd.oasis.opendocument.graphics"},
    {"odp", "application/vnd.oasis.opendocument.presentation"},
    {"ods", "application/vnd.oasis.opendocument.spreadsheet"},
    {"odt", "application/vnd.oasis.opendocument.text"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/ogg"},
    {"otf", "font/otf"},
    {"p12", "application/x-pkcs12"},
    {"pdf", "application/pdf"},
    {"pem", "application/x-x509-ca-cert"},
    {"pl", "application/x-perl"},
    {"png", "image/png"},
    {"ppt", "application/vnd.ms-powerpoint"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"ps", "application/postscript"},
    {"psd", "image/vnd.adobe.photoshop"},
    {"rar", "application/vnd.rar"},
    {"rdf", "application/rdf+xml"},
    {"rpm", "application/x-redhat-package-manager"},
    {"rss", "application/rss+xml"},
    {"rtf", "application/rtf"},
    {"sass", "text/x-sass"},
    {"scss", "text/x-scss"},
    {"sh", "application/x-sh"},
    {"shtml", "text/html"},
    {"so", "application/octet-stream"},
    {"sql", "application/sql"},
    {"srt", "application/x-subrip"},
    {"stl", "model/stl"},
    {"styl", "text/stylus"},
    {"svg", "image/svg+xml"},
    {"svgz", "image/svg+xml"},
    {"swf", "application/x-shockwave-flash"},
    {"tar", "application/x-tar"},
    {"tex", "application/x-tex"},
    {"text", "text/plain"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"toml", "application/toml"},
    {"torrent", "application/x-bittorrent"},
    {"ts", "video/mp2t"},
    {"tsv", "text/tab-separated-values"},
    {"ttc", "font/collection"},
    {"ttf", "font/ttf"},
    {"ttl", "text/turtle"},
    {"txt", "text/plain"},
    {"vcf", "text/x-vcard"},
    {"vtt", "text/vtt"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"weba", "audio/webm"},
    {"webm", "video/webm"},
    {"webmanifest", "application/manifest+json"},
    {"webp", "image/webp"},
    {"wmv", "video/x-ms-wmv"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml"},
    {"xls", "application/vnd.ms-excel"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"xml", "application/xml"},
    {"xsd", "application/xml"},
    {"xsl", "application/xml"},
    {"xslt", "application/xslt+xml"},
    {"xz", "application/x-xz"},
    {"yaml", "text/yaml"},
    {"yml", "text/yaml"},
    {"zip", "application/zip"},
};

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

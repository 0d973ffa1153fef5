/* scan_json.c - writes rows and summary as lines of JSON. */
#define _XOPEN_SOURCE 700
#include "scan_json.h"

#include <inttypes.h>
#include <string.h>

/* The length of the UTF-8 sequence that begins here, or 0 if none does: too long a form, half of a surrogate pair,
 * and what is beyond U+10FFFF do not count.  The final 0 byte ends a sequence as any wrong byte does. */
static size_t sequence_length(const unsigned char *s)
{
    if (s[0] < 0x80) return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
    size_t length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    unsigned char least = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char most = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < least || s[1] > most) return 0;
    for (size_t i = 2; i < length; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf) return 0;
    }
    return length;
}

/* Returns whether all of the text was UTF-8. */
static bool put_string(FILE *out, const char *text)
{
    bool whole = true;
    fputc('"', out);
    for (const unsigned char *s = (const unsigned char *)text; *s != 0;) {
        size_t length = sequence_length(s);
        if (length == 0) {
            fputs("\\ufffd", out);
            whole = false;
            length = 1;
        } else if (*s < 0x20 || *s == 0x7f) {
            fprintf(out, "\\u%04x", *s);
        } else {
            if (*s == '"' || *s == '\\') fputc('\\', out);
            fwrite(s, 1, length, out);
        }
        s += length;
    }
    fputc('"', out);
    return whole;
}

static void put_hex(FILE *out, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    fputc('"', out);
    for (size_t i = 0; i < size; i++) fprintf(out, "%02x", bytes[i]);
    fputc('"', out);
}

static void put_subject(FILE *out, const struct scan_row *row)
{
    if (row->poison != NULL) {
        fputs("{\"poison\":", out);
        put_string(out, row->poison);
        return;
    }
    fputs("{\"file\":", out);
    if (!put_string(out, row->path)) {
        fputs(",\"file_hex\":", out);
        put_hex(out, row->path, strlen(row->path));
    }
}

static void put_result(FILE *out, const struct scan_result *result)
{
    fprintf(out, ",\"size\":%" PRIu64 ",\"lines\":%" PRIu64 ",\"entropy\":%.6f,\"sha256\":", result->size, result->lines,
            result->entropy);
    put_hex(out, result->sha256, sizeof result->sha256);
    fputs(",\"words\":[", out);
    for (int i = 0; i < SCAN_TOP_WORDS && result->words[i].count > 0; i++) {
        fprintf(out, "%s{\"word\":\"%s\",\"count\":%" PRIu64 "}", i > 0 ? "," : "", result->words[i].text, result->words[i].count);
    }
    fputs("]", out);
}

static void put_row(FILE *out, const struct scan_row *row)
{
    put_subject(out, row);
    if (row->pid != 0) {
        fprintf(out, ",\"where\":\"process\",\"worker\":%" PRIu32 ",\"pid\":%ld", row->worker, (long)row->pid);
    } else if (row->time_ns != 0) {
        fprintf(out, ",\"where\":\"thread\",\"worker\":%" PRIu32, row->worker);
    }
    fprintf(out, ",\"time_ms\":%.3f,\"status\":\"%s\"", (double)row->time_ns / 1e6, scan_row_status(row));
    if (row->status == TANDEM_OK) {
        put_result(out, &row->result);
    } else {
        char why[160];
        scan_row_why(row, why, sizeof why);
        fprintf(out, ",\"code\":%" PRId32 ",\"signal\":%" PRId32 ",\"why\":", row->code, row->signal);
        put_string(out, why);
    }
    fputs("}\n", out);
}

void scan_json(FILE *out, const struct scan_list *list, uint64_t took_ns)
{
    for (size_t i = 0; i < list->count; i++) put_row(out, &list->rows[i]);
    struct scan_totals totals = scan_list_totals(list);
    fprintf(out, "{\"summary\":{\"files\":%zu,\"scanned\":%zu,\"bytes\":%" PRIu64 ",\"lines\":%" PRIu64, totals.files,
            totals.scanned, totals.bytes, totals.lines);
    fprintf(out, ",\"poisons\":%zu,\"poisons_ended_badly\":%zu,\"folders_left_out\":%zu,\"time_ms\":%.3f}}\n", totals.poisons,
            totals.poisons_ended_badly, list->left_out, (double)took_ns / 1e6);
}

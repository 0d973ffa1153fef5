/* scan_json.h - shows a scan to programs: one line of JSON for each row, the summary last.
 *
 * {"file":...,"where":"process","worker":1,"pid":4711,"time_ms":0.310,"status":"ok",
 *  "size":...,"lines":...,"entropy":...,"sha256":"...","words":[{"word":"the","count":12},...]}
 * {"poison":"crashes",...,"status":"crashed","code":0,"signal":11,"why":"Segmentation fault (signal 11)"}
 * {"summary":{"files":...,"scanned":...,...}}
 *
 * A file name that is not UTF-8 has U+FFFD in place of each byte that does not fit, with its true bytes beside it in
 * "file_hex", two digits each; every other name is given as it is, without "file_hex". */
#ifndef SCAN_JSON_H
#define SCAN_JSON_H

#include "scan_rows.h"

#include <stdio.h>

void scan_json(FILE *out, const struct scan_list *list, uint64_t took_ns);

#endif

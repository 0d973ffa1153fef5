/* words.c - statuses in English.  A file of their own: every pool can say them, and few programs need the other words. */
#include <tandem.h>

const char *tandem_status_name(int status)
{
    switch (status) {
    case TANDEM_PENDING: return "pending";
    case TANDEM_OK: return "ok";
    case TANDEM_FAILED: return "failed";
    case TANDEM_CRASHED: return "crashed";
    case TANDEM_TIMED_OUT: return "timed out";
    case TANDEM_EXPIRED: return "expired";
    case TANDEM_CANCELLED: return "cancelled";
    case TANDEM_OVER_LIMIT: return "over limit";
    case TANDEM_NOT_STARTED: return "not started";
    default: return "unknown";
    }
}

// SPDX-License-Identifier: Apache-2.0
// The JSON log: one object a line, so that a log cut short is still readable.
#include "state.h"

#include <sys/syscall.h>
#include <unistd.h>

static FILE *log_file;

bool segue_soft_log_open(const char *path)
{
    FILE *file = NULL;
    if (path != NULL) {
        file = fopen(path, "ae");
        if (file == NULL) {
            return false;
        }
        setvbuf(file, NULL, _IOLBF, BUFSIZ);
    }
    if (log_file != NULL) {
        fclose(log_file);
    }
    log_file = file;
    return true;
}

bool segue_soft_log_active(void)
{
    return log_file != NULL;
}

const char *segue_soft_log_escape(const char *text, char *out, size_t out_size)
{
    size_t length = 0;
    for (; *text != '\0' && length + 7 < out_size; ++text) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            out[length++] = '\\';
            out[length++] = (char)byte;
        } else if (byte < 0x20 || byte >= 0x7f) {
            length += (size_t)snprintf(out + length, out_size - length, "\\u%04x", byte);
        } else {
            out[length++] = (char)byte;
        }
    }
    out[length] = '\0';
    return out;
}

void segue_soft_log_call(const struct segue_soft_call *call, CUresult result)
{
    fprintf(log_file,
            "{\"index\":%llu,\"thread\":%ld,\"time_ns\":%llu,\"call\":\"%s\",\"arguments\":{%s},"
            "\"result\":%d,\"result_name\":\"%s\"%s}\n",
            (unsigned long long)call->index, (long)syscall(SYS_gettid),
            (unsigned long long)segue_soft_now_ns(), call->name, call->arguments, (int)result,
            segue_soft_result_name(result), call->faulted ? ",\"fault\":true" : "");
}

void segue_soft_log_note(const char *kind, const char *text)
{
    if (log_file == NULL) {
        return;
    }
    char escaped[1024];
    fprintf(log_file, "{\"index\":%llu,\"note\":\"%s\",\"text\":\"%s\"}\n",
            (unsigned long long)segue_soft.call_index, kind,
            segue_soft_log_escape(text, escaped, sizeof(escaped)));
}

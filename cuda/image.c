// SPDX-License-Identifier: Apache-2.0
#include "image.h"

#include "compile.h"
#include "cuda_backend.h"
#include "module.h"

#include <ctype.h>
#include <elf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MANIFEST_FIRST_LINE "SEGUE-SOFT-MODULE 1\n"

static const char *label_of(const struct segue_executable_params *params)
{
    return params->label != NULL ? params->label : "";
}

/** Whether [offset, offset + length) lies within `size`. */
static bool is_within(uint64_t offset, uint64_t length, uint64_t size)
{
    return offset <= size && length <= size - offset;
}

static bool is_whole_elf(const unsigned char *data, size_t size_bytes)
{
    Elf64_Ehdr header;
    if (size_bytes < sizeof(header))
        return false;
    memcpy(&header, data, sizeof(header));
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        (header.e_shnum > 0 && header.e_shentsize != sizeof(Elf64_Shdr)))
        return false;
    if (!is_within(header.e_phoff, (uint64_t)header.e_phnum * header.e_phentsize, size_bytes) ||
        !is_within(header.e_shoff, (uint64_t)header.e_shnum * header.e_shentsize, size_bytes))
        return false;
    for (uint32_t i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr section;
        memcpy(&section, data + header.e_shoff + (uint64_t)i * sizeof(section), sizeof(section));
        if (section.sh_type != SHT_NOBITS &&
            !is_within(section.sh_offset, section.sh_size, size_bytes))
            return false;
    }
    return true;
}

static bool is_whole_fatbin(const unsigned char *data, size_t size_bytes)
{
    struct {
        uint32_t magic;
        uint16_t version;
        uint16_t header_bytes;
        uint64_t content_bytes;
    } header;
    if (size_bytes < sizeof(header))
        return false;
    memcpy(&header, data, sizeof(header));
    return header.magic == 0xba55ed50 && header.header_bytes >= sizeof(header) &&
           is_within(header.header_bytes, header.content_bytes, size_bytes);
}

bool segue_image_is_whole(enum segue_executable_format format, const void *data, size_t size_bytes)
{
    return format == SEGUE_EXECUTABLE_CUBIN ? is_whole_elf(data, size_bytes)
                                            : is_whole_fatbin(data, size_bytes);
}

static bool ends_name(char character)
{
    return !isalnum((unsigned char)character) && character != '_' && character != '$';
}

bool segue_image_ptx_has_entry(const char *ptx, const char *name)
{
    static const char directive[] = ".entry";
    const size_t length = strlen(name);
    for (const char *at = strstr(ptx, directive); at != NULL; at = strstr(at, directive)) {
        at += sizeof(directive) - 1;
        const char *found = at + strspn(at, " \t\r\n");
        if (strncmp(found, name, length) == 0 && ends_name(found[length]))
            return true;
    }
    return false;
}

/** Text that is only measured while `data` is NULL. */
struct text {
    char *data;
    size_t capacity_bytes;
    size_t used_bytes;
};

static void append(struct text *text, const char *format, ...) SEGUE_PRINTF(2, 3);

static void append(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *end = text->data != NULL ? text->data + text->used_bytes : NULL;
    const size_t left_bytes = text->data != NULL ? text->capacity_bytes - text->used_bytes : 0;
    const int length = vsnprintf(end, left_bytes, format, arguments);
    va_end(arguments);
    text->used_bytes += length > 0 ? (size_t)length : 0;
}

static void write_manifest(const struct segue_executable_params *params, struct text *text)
{
    append(text, "%s", MANIFEST_FIRST_LINE);
    for (uint32_t i = 0; i < params->entry_point_count; i++) {
        const struct segue_entry_point *entry = &params->entry_points[i];
        bool has_table = false;
        append(text, "%s", entry->name);
        for (uint32_t k = 0; k < entry->parameter_count; k++) {
            if (segue_parameter_is_passed(&entry->parameters[k], &has_table))
                append(text, " %u", segue_parameter_bytes(&entry->parameters[k]));
        }
        append(text, "\n");
    }
}

static segue_status prepare_manifest(struct segue_cuda *cuda,
                                     const struct segue_executable_params *params,
                                     struct segue_image *out_image)
{
    for (uint32_t i = 0; i < params->entry_point_count; i++) {
        const char *name = params->entry_points[i].name;
        if (name[0] == '\0' || name[strcspn(name, " \t\r\n")] != '\0')
            return segue_fail(
                cuda->base.device, SEGUE_INVALID_ARGUMENT,
                "entry point %u of executable \"%s\" is named \"%s\": a kernel's name "
                "is not empty and has no space in it",
                i, label_of(params), name);
    }
    struct text measured = {NULL, 0, 0};
    write_manifest(params, &measured);
    const size_t size_bytes = measured.used_bytes + 1;
    struct text text = {segue_allocate(segue_cuda_allocator(cuda), size_bytes), size_bytes, 0};
    if (text.data == NULL)
        return segue_fail(cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for the entry points of executable \"%s\"",
                          label_of(params));
    write_manifest(params, &text);
    *out_image = (struct segue_image){text.data, size_bytes, text.data, size_bytes, false};
    return SEGUE_OK;
}

static segue_status prepare_ptx(struct segue_cuda *cuda,
                                const struct segue_executable_params *params,
                                struct segue_image *out_image)
{
    const size_t length = strnlen(params->data, params->size_bytes);
    char *text = segue_allocate(segue_cuda_allocator(cuda), length + 1);
    if (text == NULL)
        return segue_fail(cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for the PTX of executable \"%s\"", label_of(params));
    memcpy(text, params->data, length);
    text[length] = '\0';
    *out_image = (struct segue_image){text, length + 1, text, length + 1, true};
    return SEGUE_OK;
}

static segue_status prepare_binary(struct segue_cuda *cuda,
                                   const struct segue_executable_params *params,
                                   struct segue_image *out_image)
{
    if (!segue_image_is_whole(params->format, params->data, params->size_bytes))
        return segue_fail(cuda->base.device, SEGUE_INVALID_DATA,
                          "the %zu bytes of executable \"%s\" are not a whole %s",
                          params->size_bytes, label_of(params),
                          params->format == SEGUE_EXECUTABLE_CUBIN ? "cubin (64-bit ELF)"
                                                                   : "fatbin");
    *out_image = (struct segue_image){params->data, params->size_bytes, NULL, 0, false};
    return SEGUE_OK;
}

segue_status segue_image_prepare(struct segue_cuda *cuda,
                                 const struct segue_executable_params *params,
                                 struct segue_image *out_image)
{
    const bool is_soft = cuda->driver.soft != NULL;
    switch (params->format) {
    case SEGUE_EXECUTABLE_CUDA_SOURCE:
        if (is_soft && segue_cuda_nvrtc(cuda) == NULL) {
            segue_log(cuda->base.device, SEGUE_LOG_INFO,
                      "executable \"%s\": without NVRTC its source is not compiled; kernels are "
                      "checked against the declared parameters only",
                      label_of(params));
            return prepare_manifest(cuda, params, out_image);
        }
        return segue_compile_source(cuda, params, out_image);
    case SEGUE_EXECUTABLE_PTX:
        return prepare_ptx(cuda, params, out_image);
    case SEGUE_EXECUTABLE_CUBIN:
    case SEGUE_EXECUTABLE_FATBIN:
        return is_soft ? prepare_manifest(cuda, params, out_image)
                       : prepare_binary(cuda, params, out_image);
    }
    return segue_fail(cuda->base.device, SEGUE_INVALID_ARGUMENT,
                      "executable \"%s\" has the unknown format %d", label_of(params),
                      (int)params->format);
}

void segue_image_release(struct segue_cuda *cuda, struct segue_image *image)
{
    segue_release(segue_cuda_allocator(cuda), image->owned, image->owned_bytes);
    *image = (struct segue_image){NULL, 0, NULL, 0, false};
}

// SPDX-License-Identifier: Apache-2.0
/**
 * @file checksum_source.h
 * The CUDA source of the checksum kernel, embedded by the build.
 */
#ifndef SEGUE_CHECKSUM_SOURCE_H
#define SEGUE_CHECKSUM_SOURCE_H

/** checksum.cu. Zero-terminated. */
extern const char segue_checksum_source[];

#endif // SEGUE_CHECKSUM_SOURCE_H

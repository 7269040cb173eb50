// SPDX-License-Identifier: Apache-2.0
/**
 * @file json_mutate.h
 * Mutations of JSON documents that leave them documents: bytes changed at random mostly break the
 * syntax, and then never get to the readers of the content.
 */
#ifndef SEGUE_FUZZ_JSON_MUTATE_H
#define SEGUE_FUZZ_JSON_MUTATE_H

#include <stddef.h>
#include <stdint.h>

/** Called by libFuzzer. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/** Changes a value of the document, or, every fourth time and where it is none, its bytes. Returns
 *  the new size. */
size_t fuzz_mutate_json(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#endif // SEGUE_FUZZ_JSON_MUTATE_H

// SPDX-License-Identifier: Apache-2.0
/**
 * @file settings.h
 * Values of constant slots from the command line.
 */
#ifndef SEGUE_REPLAY_SETTINGS_H
#define SEGUE_REPLAY_SETTINGS_H

#include "replay.h"

/** Reads a value of 4 or 8 bytes: an integer, decimal (negative ones, too) or with 0x, or a number
 *  with a point or an exponent, which is stored in floating point. False if it is none of these or
 *  does not fit. */
bool segue_replay_parse_value(const char *text, uint32_t size_bytes,
                              struct segue_constant_value *out_value);

/** Sets what the options say in the session. Returns a segue_replay_exit, having said why. */
int segue_replay_apply_settings(struct segue_replay *replay);

#endif // SEGUE_REPLAY_SETTINGS_H

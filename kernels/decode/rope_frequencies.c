// SPDX-License-Identifier: Apache-2.0
#include <segue/kernels.h>

#include <math.h>

static double scale_frequency(const struct segue_rope_scaling *scaling, double frequency)
{
    const double two_pi = 6.283185307179586;
    if (scaling->factor == 1.0)
        return frequency;
    const double wavelength = two_pi / frequency;
    if (wavelength < scaling->original_context / scaling->high_factor)
        return frequency;
    if (wavelength > scaling->original_context / scaling->low_factor)
        return frequency / scaling->factor;
    const double keep = (scaling->original_context / wavelength - scaling->low_factor) /
                        (scaling->high_factor - scaling->low_factor);
    return (1.0 - keep) * frequency / scaling->factor + keep * frequency;
}

void segue_rope_frequencies(const struct segue_rope_scaling *scaling, uint32_t head_size,
                            float *out_frequencies)
{
    for (uint32_t i = 0; i < head_size / 2; i++) {
        const double frequency = pow(scaling->theta, -2.0 * i / head_size);
        out_frequencies[i] = (float)scale_frequency(scaling, frequency);
    }
}

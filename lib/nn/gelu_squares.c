/* GELU together with the sum of squares that global response normalization needs, forward and backward in one pass each.
 *
 * erf by Abramowitz and Stegun 7.1.26 (1964), error below 1.5e-7; its exponential is also that of the derivative. */
#include <stdint.h>
#include <string.h>

#define LANES 16

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));

static inline floats load(const void *from, int64_t place, int is_bfloat16) {
    floats value;
    if (is_bfloat16) {
        halves half;
        memcpy(&half, (const uint16_t *)from + place, sizeof half);
        words bits = __builtin_convertvector(half, words) << 16;
        memcpy(&value, &bits, sizeof value);
    } else {
        memcpy(&value, (const float *)from + place, sizeof value);
    }
    return value;
}

static inline void store(void *to, int64_t place, floats value, int is_bfloat16) {
    if (is_bfloat16) {
        words bits;
        memcpy(&bits, &value, sizeof bits);
        /* Round to nearest, ties to even; what is not a number stays so. */
        words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
        words is_nan = (words)((bits & 0x7fffffff) > 0x7f800000);
        halves half = __builtin_convertvector((rounded & ~is_nan) | (0x7fc0 & is_nan), halves);
        memcpy((uint16_t *)to + place, &half, sizeof half);
    } else {
        memcpy((float *)to + place, &value, sizeof value);
    }
}

/* Lanes of one or of the other; chosen is all bits or none. */
static inline floats choose(ints chosen, floats one, floats other) {
    ints first, second;
    memcpy(&first, &one, sizeof first);
    memcpy(&second, &other, sizeof second);
    first = (first & chosen) | (second & ~chosen);
    memcpy(&one, &first, sizeof one);
    return one;
}

/* exp of numbers that are not positive. */
static inline floats exponential(floats x) {
    x = choose(x > -80.0f, x, (floats){0} - 80.0f);
    ints whole = __builtin_convertvector(x * 1.44269504f - 0.5f, ints);
    floats steps = __builtin_convertvector(whole, floats);
    floats r = (x - steps * 0.693359375f) + steps * 2.12194440e-4f;
    floats y = 1.9875691500e-4f * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * (r * r) + r + 1.0f;
    ints power = (whole + 127) << 23;
    floats scale;
    memcpy(&scale, &power, sizeof scale);
    return y * scale;
}

/* The normal distribution function at z; bell becomes exp(-z * z / 2). */
static inline floats distribution(floats z, floats *bell) {
    floats size = choose(z < 0.0f, -z, z);
    *bell = exponential(z * z * -0.5f);
    floats t = 1.0f / (0.3275911f * 0.70710678f * size + 1.0f);
    floats tail = 1.061405429f * t - 1.453152027f;
    tail = ((tail * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f;
    tail = 0.5f * tail * t * *bell;
    return choose(z < 0.0f, tail, 1.0f - tail);
}

/* input, output: (events, positions, channels), channels a multiple of 16; squares: (events, channels), overwritten. */
void gelu_squares(const void *input, void *output, float *squares, int64_t events, int64_t positions,
                  int64_t channels, int is_bfloat16) {
    for (int64_t event = 0; event < events; event++) {
        float *sums = squares + event * channels;
        memset(sums, 0, channels * sizeof(float));
        for (int64_t position = 0; position < positions; position++)
            for (int64_t c = 0; c < channels; c += LANES) {
                const int64_t place = (event * positions + position) * channels + c;
                floats bell, z = load(input, place, is_bfloat16), sum = load(sums, c, 0);
                floats y = z * distribution(z, &bell);
                store(output, place, y, is_bfloat16);
                store(sums, c, sum + y * y, 0);
            }
    }
}

/* gradient: of the output; factors: twice the gradient of squares, (events, channels). Overwrites result. */
void gelu_squares_backward(const void *input, const void *gradient, const float *factors, void *result,
                           int64_t events, int64_t positions, int64_t channels, int is_bfloat16) {
    for (int64_t event = 0; event < events; event++)
        for (int64_t position = 0; position < positions; position++)
            for (int64_t c = 0; c < channels; c += LANES) {
                const int64_t place = (event * positions + position) * channels + c;
                floats bell, z = load(input, place, is_bfloat16);
                floats normal = distribution(z, &bell);
                floats upstream = load(gradient, place, is_bfloat16);
                upstream += z * normal * load(factors, event * channels + c, 0);
                store(result, place, upstream * (normal + z * bell * 0.398942280f), is_bfloat16);
            }
}

/* Sensor readings as they stand in a ROOT file to rows of network inputs, in one pass over the memory.
 *
 * The result is that of lib.data.normalization.Normalization. Validity is decided on the bits, so that no assumption
 * of the compiler about infinities or NaN can change it. Every loop runs over the sensors of one event without a
 * branch, which is what lets compilers use the vector units.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

enum scheme { LOG1P, SQUARE_ROOT, LINEAR };

struct constants {
    float offset;        /* added to the photons before scaling */
    float scale;         /* divides them */
    float output_scale;  /* divides the result */
    float domain;        /* fewer photons count as zero */
    float threshold;     /* photons below which a time is not used */
    float time_scale;
    float time_shift;
    float sentinel_npho;
    float sentinel_time;
    float largest;       /* anything above is no value */
};

static inline float as_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t as_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* ln(1 + z) for z > -1. With 1 + z = 2^e (1 + f) and s = f / (2 + f), ln(1 + f) is 2 artanh(s), |s| < 0.172, whose
 * series is cut after s^9 / 9: 1e-9 of the result. f is taken from z, not from the rounded 1 + z. */
static inline float log1p_of(float z) {
    const int32_t exponent = (int32_t)(as_bits(1.0f + z) - 0x3f3504f3u) >> 23;
    const float power = as_float((uint32_t)(exponent + 127) << 23);
    const float inverse = as_float((uint32_t)(127 - exponent) << 23);
    const float f = (z + (1.0f - power)) * inverse;
    const float s = f / (2.0f + f);
    const float q = s * s;
    const float series = 1.0f + q * (1.0f / 3 + q * (1.0f / 5 + q * (1.0f / 7 + q * (1.0f / 9))));
    return 0.69314718f * (float)exponent + 2.0f * s * series;
}

static inline __attribute__((always_inline)) void
fill_event(const uint32_t *restrict npho, const uint32_t *restrict time, float *restrict x, uint8_t *restrict valid,
           int sensors, const struct constants c, enum scheme scheme, int swap) {
    const int32_t largest = (int32_t)as_bits(c.largest);
    for (int i = 0; i < sensors; i++) {
        const uint32_t n = swap ? __builtin_bswap32(npho[i]) : npho[i];
        const uint32_t t = swap ? __builtin_bswap32(time[i]) : time[i];
        const float photons = as_float(n);
        const int npho_valid = ((int32_t)n <= largest) & ((n & 0x7fffffffu) < 0x7f800000u);
        const int time_valid = npho_valid & (photons >= c.threshold) & ((int32_t)(t & 0x7fffffffu) <= largest);
        const float usable = (npho_valid & (photons >= c.domain)) ? photons : 0.0f;
        const float scaled = (usable + c.offset) / c.scale;
        const float transformed = scheme == LOG1P ? log1p_of(scaled) : scheme == SQUARE_ROOT ? sqrtf(scaled) : scaled;
        x[2 * i] = npho_valid ? transformed / c.output_scale : c.sentinel_npho;
        x[2 * i + 1] = time_valid ? as_float(t) / c.time_scale - c.time_shift : c.sentinel_time;
    }
    /* A loop of its own: bytes beside floats would halve the width of the vectors above. The event is in the cache. */
    for (int i = 0; i < sensors; i++) {
        const uint32_t n = swap ? __builtin_bswap32(npho[i]) : npho[i];
        const uint32_t t = swap ? __builtin_bswap32(time[i]) : time[i];
        const int npho_valid = ((int32_t)n <= largest) & ((n & 0x7fffffffu) < 0x7f800000u);
        const int time_valid = npho_valid & (as_float(n) >= c.threshold) & ((int32_t)(t & 0x7fffffffu) <= largest);
        valid[2 * i] = (uint8_t)npho_valid;
        valid[2 * i + 1] = (uint8_t)time_valid;
    }
}

#define FILL_EVENTS(SCHEME, SWAP)                                                                                      \
    for (int64_t k = 0; k < events; k++) {                                                                             \
        const int64_t from = sources[k] * sensors, to = targets[k] * sensors * 2;                                      \
        fill_event(npho + from, time + from, x + to, valid + to, sensors, *c, SCHEME, SWAP);                           \
    }

/* Event sources[k] of the readings, stored as (n, sensors), becomes row targets[k] of x and valid (m, sensors, 2). */
void fill_rows(const uint32_t *npho, const uint32_t *time, const int64_t *sources, const int64_t *targets,
               int64_t events, int sensors, float *x, uint8_t *valid, const struct constants *c, int scheme, int swap) {
    if (scheme == LOG1P && swap) {
        FILL_EVENTS(LOG1P, 1)
    } else if (scheme == LOG1P) {
        FILL_EVENTS(LOG1P, 0)
    } else if (scheme == SQUARE_ROOT && swap) {
        FILL_EVENTS(SQUARE_ROOT, 1)
    } else if (scheme == SQUARE_ROOT) {
        FILL_EVENTS(SQUARE_ROOT, 0)
    } else if (swap) {
        FILL_EVENTS(LINEAR, 1)
    } else {
        FILL_EVENTS(LINEAR, 0)
    }
}

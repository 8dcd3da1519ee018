/* Rows of network inputs to 16 bits per value and back, for the packed cache.
 *
 * Each event carries an offset and a step for photons and for times, so that 65 535 levels span its own range; the
 * last number means "no value". The sum of the packed 64-bit words tells damage when a row is read.
 *
 * Photons and times alternate. Loops run over LANES neighbours with constants that alternate likewise, which compilers
 * turn into vector instructions; a row is a whole number of lanes (2 x 4760 = 595 x 16).
 */
#include <stdint.h>
#include <string.h>

#define LANES 16
#define NO_VALUE 65535
#define LEVELS 65534.0f
#define HUGE 3.4e38f

static uint64_t sum_of(const uint16_t *row, int values) {
    uint64_t sum = 0;
    for (int i = 0; i < values / 4; i++) {
        uint64_t word;
        memcpy(&word, row + 4 * i, sizeof word);
        sum += word;
    }
    return sum;
}

/* Least and largest valid value of both channels; zeros for a channel without any. */
static void find_range(const float *restrict x, const uint8_t *restrict valid, int values, float low[2], float high[2]) {
    float least[LANES], most[LANES];
    for (int k = 0; k < LANES; k++)
        least[k] = HUGE, most[k] = -HUGE;
    for (int i = 0; i < values; i += LANES)
        for (int k = 0; k < LANES; k++) {
            const float for_least = valid[i + k] ? x[i + k] : HUGE, for_most = valid[i + k] ? x[i + k] : -HUGE;
            least[k] = for_least < least[k] ? for_least : least[k];
            most[k] = for_most > most[k] ? for_most : most[k];
        }
    for (int k = 2; k < LANES; k++) {
        least[k % 2] = least[k] < least[k % 2] ? least[k] : least[k % 2];
        most[k % 2] = most[k] > most[k % 2] ? most[k] : most[k % 2];
    }
    for (int k = 0; k < 2; k++) {
        low[k] = least[k] <= most[k] ? least[k] : 0.0f;
        high[k] = least[k] <= most[k] ? most[k] : 0.0f;
    }
}

static void pack_row(const float *restrict x, const uint8_t *restrict valid, int values, uint16_t *restrict packed,
                     float *restrict scale) {
    float low[2], high[2], offset[LANES], inverse[LANES];
    find_range(x, valid, values, low, high);
    for (int k = 0; k < LANES; k++) {
        const float step = (high[k % 2] - low[k % 2]) / LEVELS;
        offset[k] = scale[2 * (k % 2)] = low[k % 2];
        scale[2 * (k % 2) + 1] = step;
        inverse[k] = step > 0.0f ? 1.0f / step : 0.0f;
    }
    for (int i = 0; i < values; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float level = (x[i + k] - offset[k]) * inverse[k] + 0.5f;
            level = level > 0.0f ? level : 0.0f;
            level = level < LEVELS ? level : LEVELS;
            packed[i + k] = valid[i + k] ? (uint16_t)(int32_t)level : NO_VALUE;
        }
}

/* Rows of x and valid, shape (events, values), to packed of the same shape, scales (events, 2, 2) and sums. */
void pack_rows(const float *x, const uint8_t *valid, int64_t events, int values, uint16_t *packed, float *scales,
               uint64_t *sums) {
    for (int64_t k = 0; k < events; k++) {
        pack_row(x + k * values, valid + k * values, values, packed + k * values, scales + 4 * k);
        sums[k] = sum_of(packed + k * values, values);
    }
}

static void unpack_row(const uint16_t *restrict packed, int values, const float *scale, const float *sentinels,
                       float *restrict x, uint8_t *restrict valid) {
    float offset[LANES], step[LANES], sentinel[LANES];
    for (int k = 0; k < LANES; k++) {
        offset[k] = scale[2 * (k % 2)];
        step[k] = scale[2 * (k % 2) + 1];
        sentinel[k] = sentinels[k % 2];
    }
    for (int i = 0; i < values; i += LANES)
        for (int k = 0; k < LANES; k++) {
            const int32_t level = packed[i + k];
            const float value = offset[k] + step[k] * (float)level;
            x[i + k] = level == NO_VALUE ? sentinel[k] : value;
        }
    for (int i = 0; i < values; i++)
        valid[i] = packed[i] != NO_VALUE;
}

/* Rows at the addresses rows[k], with their scales and sums, to rows targets[k] of x and valid. Returns the first k whose
 * sum differs, or -1. */
int64_t unpack_rows(const uint16_t *const *rows, const float *scales, const uint64_t *sums, const int64_t *targets,
                    int64_t events, int values, float *x, uint8_t *valid, const float *sentinels) {
    for (int64_t k = 0; k < events; k++) {
        const int64_t to = targets[k] * values;
        if (sum_of(rows[k], values) != sums[k])
            return k;
        unpack_row(rows[k], values, scales + 4 * k, sentinels, x + to, valid + to);
    }
    return -1;
}

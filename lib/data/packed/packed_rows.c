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

/* LANES neighbours at a time, spelt out: compilers turn a condition on bytes beside floats into branches, which events
 * that are valid at random make fifty times slower. */
typedef float floats __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t integers __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef uint16_t words __attribute__((vector_size(LANES * sizeof(uint16_t))));
typedef uint8_t bytes __attribute__((vector_size(LANES)));

static inline floats load(const float *x) {
    floats values;
    memcpy(&values, x, sizeof values);
    return values;
}

/* All bits where valid, none elsewhere. */
static inline integers load_condition(const uint8_t *valid) {
    bytes values;
    memcpy(&values, valid, sizeof values);
    /* In two steps: some compilers know no instruction for both at once, and take the numbers one by one. */
    return __builtin_convertvector(__builtin_convertvector(values, words), integers) != 0;
}

static inline floats choose(integers condition, floats yes, floats no) {
    return (floats)(((integers)yes & condition) | ((integers)no & ~condition));
}

static inline floats lesser(floats a, floats b) { return choose(a < b, a, b); }

static inline floats greater(floats a, floats b) { return choose(a > b, a, b); }

/* Least and largest valid value of both channels; zeros for a channel without any. */
static void find_range(const float *restrict x, const uint8_t *restrict valid, int values, float low[2], float high[2]) {
    const floats huge = (floats){0} + HUGE;
    floats least = huge, most = -huge;
    for (int i = 0; i < values; i += LANES) {
        const integers condition = load_condition(valid + i);
        least = lesser(choose(condition, load(x + i), huge), least);
        most = greater(choose(condition, load(x + i), -huge), most);
    }
    for (int k = 0; k < 2; k++) {
        float smallest = least[k], largest = most[k];
        for (int i = k; i < LANES; i += 2) {
            smallest = least[i] < smallest ? least[i] : smallest;
            largest = most[i] > largest ? most[i] : largest;
        }
        low[k] = smallest <= largest ? smallest : 0.0f;
        high[k] = smallest <= largest ? largest : 0.0f;
    }
}

static void pack_row(const float *restrict x, const uint8_t *restrict valid, int values, uint16_t *restrict packed,
                     float *restrict scale) {
    float low[2], high[2];
    floats offset, inverse;
    find_range(x, valid, values, low, high);
    for (int k = 0; k < LANES; k++) {
        const float step = (high[k % 2] - low[k % 2]) / LEVELS;
        offset[k] = scale[2 * (k % 2)] = low[k % 2];
        scale[2 * (k % 2) + 1] = step;
        inverse[k] = step > 0.0f ? 1.0f / step : 0.0f;
    }
    const floats most = (floats){0} + LEVELS;
    for (int i = 0; i < values; i += LANES) {
        const integers condition = load_condition(valid + i);
        const floats level = (load(x + i) - offset) * inverse + 0.5f;
        const integers whole = __builtin_convertvector(lesser(greater(level, (floats){0}), most), integers);
        const words row = __builtin_convertvector((whole & condition) | (NO_VALUE & ~condition), words);
        memcpy(packed + i, &row, sizeof row);
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

/* What is unpacked is more than any cache holds, so on x86 it goes past the caches: memory need not be read before it is
 * written. Rows are whole multiples of 16 bytes; only their beginning has to be. */
#ifdef __SSE2__
#include <immintrin.h>
#define STREAM_ALIGNMENT 16

static inline void store_past_caches(void *to, const void *from, int size) {
    for (int i = 0; i < size; i += 16)
        _mm_stream_si128((__m128i *)((char *)to + i), _mm_loadu_si128((const __m128i *)((const char *)from + i)));
}
#else
#define STREAM_ALIGNMENT 1
#define store_past_caches memcpy
#endif

static void unpack_row(const uint16_t *restrict packed, const uint16_t *next, int values, const float *scale,
                       const float *sentinels, float *restrict x, uint8_t *restrict valid) {
    floats offset, step, sentinel;
    for (int k = 0; k < LANES; k++) {
        offset[k] = scale[2 * (k % 2)];
        step[k] = scale[2 * (k % 2) + 1];
        sentinel[k] = sentinels[k % 2];
    }
    const int streams = ((uintptr_t)x | (uintptr_t)valid) % STREAM_ALIGNMENT == 0;
    for (int i = 0; i < values; i += LANES) {
        /* Rows lie anywhere; the next one is on its way while this one is unpacked. */
        __builtin_prefetch(next + i);
        words row;
        memcpy(&row, packed + i, sizeof row);
        const integers level = __builtin_convertvector(row, integers), condition = level != NO_VALUE;
        const floats value = choose(condition, offset + step * __builtin_convertvector(level, floats), sentinel);
        const bytes is_valid = __builtin_convertvector(condition & 1, bytes);
        if (streams) {
            store_past_caches(x + i, &value, sizeof value);
            store_past_caches(valid + i, &is_valid, sizeof is_valid);
        } else {
            memcpy(x + i, &value, sizeof value);
            memcpy(valid + i, &is_valid, sizeof is_valid);
        }
    }
}

/* Rows at the addresses rows[k], with their scales and sums, to rows targets[k] of x and valid. Returns the first k whose
 * sum differs, or -1. */
int64_t unpack_rows(const uint16_t *const *rows, const float *scales, const uint64_t *sums, const int64_t *targets,
                    int64_t events, int values, float *x, uint8_t *valid, const float *sentinels) {
    for (int64_t k = 0; k < events; k++) {
        const int64_t to = targets[k] * values;
        if (sum_of(rows[k], values) != sums[k])
            return k;
        unpack_row(rows[k], rows[k + 1 < events ? k + 1 : k], values, scales + 4 * k, sentinels, x + to, valid + to);
    }
    return -1;
}

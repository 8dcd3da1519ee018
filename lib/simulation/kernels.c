/* The two inner loops of the simulation. kernels.py holds the same functions in NumPy, and a test compares them. */

#include <math.h>
#include <stdint.h>

enum { TILE = 256, MAX_COUNT = 20 };

static inline float exp_negative(float x)
{
    /* exp(-x) for 0 <= x < 80: 2^n times a polynomial on [-1/2, 1/2] (Cephes expf), written out so that it vectorizes. */
    float y = -x * 1.44269504f;
    float n = floorf(y + 0.5f);
    float r = -x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    union { int32_t i; float f; } power = { ((int32_t)n + 127) << 23 };
    return p * power.f;
}

/* Light of the sources of one event on all sensors.
 *   sensors   rows x, y, z, nx, ny, nz, spread, area share, each of num_sensors
 *   sources   rows x, y, z, photons, time, each of num_sources, the next row source_stride further
 *   photons   out: photons on each sensor;  moments out: photons times arrival time */
static void event_light(const float *restrict sensors, int64_t num_sensors, const float *restrict sources,
                        int64_t num_sources, int64_t source_stride, const float *restrict constants,
                        float *restrict photons, float *restrict moments)
{
    const float attenuation = constants[0], slowness = constants[1], grazing = constants[2], slope = constants[3];
    const float min_square = constants[4];
    for (int64_t first = 0; first < num_sensors; first += TILE) {
        const int64_t count = num_sensors - first < TILE ? num_sensors - first : TILE;
        const float *px = sensors + first, *py = px + num_sensors, *pz = py + num_sensors;
        const float *nx = pz + num_sensors, *ny = nx + num_sensors, *nz = ny + num_sensors;
        const float *spread = nz + num_sensors, *area = spread + num_sensors;
        float sum[TILE] = {0}, timed[TILE] = {0};
        for (int64_t s = 0; s < num_sources; s++) {
            const float x = sources[s], y = sources[s + source_stride], z = sources[s + 2 * source_stride];
            const float light = sources[s + 3 * source_stride], start = sources[s + 4 * source_stride];
            for (int64_t k = 0; k < count; k++) {
                const float dx = x - px[k], dy = y - py[k], dz = z - pz[k];
                const float square = fmaxf(dx * dx + dy * dy + dz * dz, min_square);
                const float inverse = 1.0f / sqrtf(square), distance = square * inverse;
                const float cosine = fmaxf(dx * nx[k] + dy * ny[k] + dz * nz[k], 0.0f) * inverse;
                const float cosine_square = cosine * cosine, accepted = grazing + slope * cosine;
                const float tilt = accepted < 1.0f ? slope * cosine * (3.5f - 4.5f * cosine_square) : 0.0f;
                /* The factor 1 + change / accepted, or 1 / (1 - change / accepted), by one division. */
                const float change = spread[k] * inverse * inverse * ((4.5f - 7.5f * cosine_square) * accepted + tilt);
                const float size = fmaxf(accepted + change, accepted) / fmaxf(accepted - change, accepted);
                const float share = fminf(area[k] * cosine * inverse * inverse * size, 0.5f);
                const float seen = light * share * fminf(accepted, 1.0f) * exp_negative(attenuation * distance);
                sum[k] += seen;
                timed[k] += seen * (start + slowness * distance);
            }
        }
        for (int64_t k = 0; k < count; k++) {
            photons[first + k] = sum[k];
            moments[first + k] = timed[k];
        }
    }
}

/* The light of many events; the sources of event e are those from bounds[e] to bounds[e + 1]. */
void direct_light(const float *sensors, int64_t num_sensors, const float *sources, int64_t source_stride,
                  const int64_t *bounds, int64_t num_events, const float *constants, float *photons, float *moments)
{
    for (int64_t e = 0; e < num_events; e++)
        event_light(sensors, num_sensors, sources + bounds[e], bounds[e + 1] - bounds[e], source_stride, constants,
                    photons + e * num_sensors, moments + e * num_sensors);
}

/* Poisson counts by inversion: the smallest k whose cumulative probability exceeds the uniform number.
 * Means must lie below 4 or so; counts end at MAX_COUNT. */
void poisson_counts(const float *restrict mean, const float *restrict uniform, int64_t count, float *restrict result)
{
    for (int64_t first = 0; first < count; first += TILE) {
        const int64_t size = count - first < TILE ? count - first : TILE;
        float probability[TILE], cumulative[TILE], drawn[TILE];
        for (int64_t i = 0; i < size; i++) {
            probability[i] = exp_negative(mean[first + i]);
            cumulative[i] = probability[i];
            drawn[i] = 0.0f;
        }
        for (int k = 1; k <= MAX_COUNT; k++) {
            const float inverse = 1.0f / (float)k;
            for (int64_t i = 0; i < size; i++) {
                drawn[i] += uniform[first + i] > cumulative[i] ? 1.0f : 0.0f;
                probability[i] *= mean[first + i] * inverse;
                cumulative[i] += probability[i];
            }
        }
        for (int64_t i = 0; i < size; i++)
            result[first + i] = drawn[i];
    }
}

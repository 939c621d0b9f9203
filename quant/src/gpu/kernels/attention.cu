// Causal attention of rows of `length` tokens, forward and backward, in tiles on the tensor cores (Dao, arXiv 2307.08691). A warp has 16 queries
// (or keys); what it multiplies them with is in shared memory, in tiles of 8 KB (64 rows, or 32 of wide heads), the next tile on
// its way.

#ifndef WARPS
#define WARPS 4
#endif
#define TALL (16 * WARPS)
#define TILE (4096 / HEAD)

// Row `r`, chunk `c` of 16 bytes of a tile: chunks change places so that eight rows of one column meet no bank twice.
DEVICE bf16* chunk(bf16* tile, int r, int c) { return tile + r * HEAD + ((c ^ (r & 7)) << 3); }

// Begins to load a tile of rows `stride` elements apart.
DEVICE void load_tile(bf16* tile, const bf16* from, u64 stride) {
    const int chunks = HEAD / 8;
    for (int i = threadIdx.x; i < TILE * chunks; i += WARPS * 32)
        copy16(chunk(tile, i / chunks, i % chunks), from + (i / chunks) * stride + (i % chunks) * 8);
}

// Sixteen rows as the left operand, straight from memory: row lane/4 and the one 8 below, columns in pairs.
DEVICE void load_left(u32 (*a)[4], const bf16* from, u64 stride) {
    int lane = threadIdx.x % 32;
    const bf16* p = from + (lane / 4) * stride + (lane % 4) * 2;
#pragma unroll
    for (int k = 0; k < HEAD / 16; k++) {
        a[k][0] = *(const u32*)(p + 16 * k);
        a[k][1] = *(const u32*)(p + 16 * k + 8 * stride);
        a[k][2] = *(const u32*)(p + 16 * k + 8);
        a[k][3] = *(const u32*)(p + 16 * k + 8 + 8 * stride);
    }
}

// out[16 x TILE] = a[16 x HEAD] tile^T: products of rows with rows.
DEVICE void times_rows(float (*out)[4], const u32 (*a)[4], bf16* tile) {
    int lane = threadIdx.x % 32, m = lane / 8, r = lane % 8;
#pragma unroll
    for (int n = 0; n < TILE / 8; n++)
        for (int i = 0; i < 4; i++) out[n][i] = 0;
#pragma unroll
    for (int k = 0; k < HEAD / 16; k++) {
#pragma unroll
        for (int n = 0; n < TILE / 16; n++) {
            u32 b[4];
            ldmatrix4(b, chunk(tile, n * 16 + (m >> 1) * 8 + r, k * 2 + (m & 1)));
            mma(out[2 * n], a[k], b);
            mma(out[2 * n + 1], a[k], b + 2);
        }
    }
}

// out[16 x HEAD] += p[16 x TILE] tile, p as it came out of products.
DEVICE void add_times(float (*out)[4], float (*p)[4], bf16* tile) {
    int lane = threadIdx.x % 32, m = lane / 8, r = lane % 8;
#pragma unroll
    for (int k = 0; k < TILE / 16; k++) {
        u32 a[4] = {pack(p[2 * k][0], p[2 * k][1]), pack(p[2 * k][2], p[2 * k][3]), pack(p[2 * k + 1][0], p[2 * k + 1][1]),
                    pack(p[2 * k + 1][2], p[2 * k + 1][3])};
#pragma unroll
        for (int n = 0; n < HEAD / 16; n++) {
            u32 b[4];
            ldmatrix4_t(b, chunk(tile, k * 16 + (m & 1) * 8 + r, n * 2 + (m >> 1)));
            mma(out[2 * n], a, b);
            mma(out[2 * n + 1], a, b + 2);
        }
    }
}

// The sixteen rows times `low` (row lane/4) and `high` (8 below), to memory.
DEVICE void store(bf16* to, u64 stride, float (*x)[4], float low, float high) {
    int lane = threadIdx.x % 32;
    bf16* p = to + (lane / 4) * stride + (lane % 4) * 2;
#pragma unroll
    for (int n = 0; n < HEAD / 8; n++) {
        *(u32*)(p + 8 * n) = pack(x[n][0] * low, x[n][1] * low);
        *(u32*)(p + 8 * n + 8 * stride) = pack(x[n][2] * high, x[n][3] * high);
    }
}

// Grid: tiles of TALL queries, heads, rows of tokens. `lse` is the logarithm (base 2) of the sum of `2^score`, [heads, tokens].
KERNEL __launch_bounds__(WARPS * 32, HEAD == 64 ? 16 / WARPS : 12 / WARPS) attention(const bf16* qkv, bf16* out, float* lse, int length, int tokens) {
    SHARED(bf16, tiles);
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int block = gridDim.x - 1 - blockIdx.x, h = blockIdx.y;
    u64 first = (u64)blockIdx.z * length;
    const bf16* keys = qkv + first * QKV + (HEADS + h / (HEADS / KV_HEADS)) * HEAD;
    const bf16* values = keys + KV_HEADS * HEAD;
    int from = block * TALL + warp * 16, last = (block + 1) * (TALL / TILE);
    u32 q[HEAD / 16][4];
    load_left(q, qkv + (first + from) * QKV + h * HEAD, QKV);
    load_tile(tiles, keys, QKV);
    load_tile(tiles + TILE * HEAD, values, QKV);
    copy_commit();
    float o[HEAD / 8][4], most[2] = {-1e30f, -1e30f}, sum[2] = {0, 0};
#pragma unroll
    for (int n = 0; n < HEAD / 8; n++)
        for (int i = 0; i < 4; i++) o[n][i] = 0;
    for (int t = 0; t < last; t++) {
        bf16* tile = tiles + (t & 1) * 2 * TILE * HEAD;
        copy_wait<0>();
        __syncthreads();
        if (t + 1 < last) {
            bf16* next = tiles + (~t & 1) * 2 * TILE * HEAD;
            load_tile(next, keys + (u64)(t + 1) * TILE * QKV, QKV);
            load_tile(next + TILE * HEAD, values + (u64)(t + 1) * TILE * QKV, QKV);
        }
        copy_commit();
        if (t * TILE > from + 15) continue;
        float s[TILE / 8][4];
        times_rows(s, q, tile);
        bool edge = t * TILE + TILE - 1 > from;
        float top[2] = {most[0], most[1]};
#pragma unroll
        for (int n = 0; n < TILE / 8; n++)
            for (int i = 0; i < 4; i++) {
                int key = t * TILE + n * 8 + (lane % 4) * 2 + (i & 1), query = from + lane / 4 + (i >> 1) * 8;
                s[n][i] = edge && key > query ? -1e30f : s[n][i] * (SCORE_SCALE * LOG2_E);
                top[i >> 1] = fmaxf(top[i >> 1], s[n][i]);
            }
#pragma unroll
        for (int i = 0; i < 2; i++) {
            top[i] = fmaxf(top[i], __shfl_xor_sync(FULL, top[i], 1));
            top[i] = fmaxf(top[i], __shfl_xor_sync(FULL, top[i], 2));
            float less = exp2_fast(most[i] - top[i]);
            most[i] = top[i];
            sum[i] *= less;
#pragma unroll
            for (int n = 0; n < HEAD / 8; n++) o[n][2 * i] *= less, o[n][2 * i + 1] *= less;
        }
#pragma unroll
        for (int n = 0; n < TILE / 8; n++)
            for (int i = 0; i < 4; i++) {
                s[n][i] = exp2_fast(s[n][i] - most[i >> 1]);
                sum[i >> 1] += s[n][i];
            }
        add_times(o, s, tile + TILE * HEAD);
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        sum[i] += __shfl_xor_sync(FULL, sum[i], 1);
        sum[i] += __shfl_xor_sync(FULL, sum[i], 2);
        if (lane % 4 == 0) lse[(u64)h * tokens + first + from + lane / 4 + i * 8] = most[i] + log2f(sum[i]);
    }
    store(out + (first + from) * (HEADS * HEAD) + h * HEAD, HEADS * HEAD, o, 1.0f / sum[0], 1.0f / sum[1]);
}

// Sums of the products of output and its derivative, [heads, tokens]; a warp for each.
KERNEL attention_delta(const bf16* out, const bf16* d_out, float* delta, int tokens) {
    int lane = threadIdx.x % 32;
    u64 id = (u64)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    u64 row = id / HEADS, h = id % HEADS;
    if (row >= tokens) return;
    float sum = 0;
#pragma unroll
    for (int i = 0; i < OF_HEAD / 2; i++) {
        u64 at = (row * (HEADS * HEAD) + h * HEAD) / 2 + lane + 32 * i;
        u32 a = ((const u32*)out)[at], b = ((const u32*)d_out)[at];
        sum += low_of(a) * low_of(b) + high_of(a) * high_of(b);
    }
    sum = warp_sum(sum);
    if (lane == 0) delta[h * tokens + row] = sum;
}

// The output of attention on int8 codes of `*step`, where there is one, and its largest magnitude.
KERNEL round_rows(const bf16* x, bf16* y, u64 count, const float* step, u32* most) {
    u64 i = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * 8;
    float largest = 0;
    if (i < count) {
        uint4 v = *(const uint4*)(x + i);
        u32 in[4] = {v.x, v.y, v.z, v.w}, to[4];
        float s = step ? *step : 1;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            float a = low_of(in[k]), b = high_of(in[k]);
            largest = fmaxf(largest, fmaxf(fabsf(a), fabsf(b)));
            to[k] = pack(round_to(a, s, -128, 127), round_to(b, s, -128, 127));
        }
        if (step) *(uint4*)(y + i) = make_uint4(to[0], to[1], to[2], to[3]);
    }
    largest = warp_max(largest);
    if (threadIdx.x % 32 == 0) record_max(most, largest);
}

// dq; grid as of `attention`.
KERNEL attention_back_q(const bf16* qkv, const bf16* d_out, const float* lse, const float* delta, bf16* d_qkv, int length,
                        int tokens) {
    SHARED(bf16, tiles);
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int block = gridDim.x - 1 - blockIdx.x, h = blockIdx.y;
    u64 first = (u64)blockIdx.z * length;
    const bf16* keys = qkv + first * QKV + (HEADS + h / (HEADS / KV_HEADS)) * HEAD;
    const bf16* values = keys + KV_HEADS * HEAD;
    int from = block * TALL + warp * 16, last = (block + 1) * (TALL / TILE);
    u32 q[HEAD / 16][4], d[HEAD / 16][4];
    load_left(q, qkv + (first + from) * QKV + h * HEAD, QKV);
    load_left(d, d_out + (first + from) * (HEADS * HEAD) + h * HEAD, HEADS * HEAD);
    u64 at = (u64)h * tokens + first + from + lane / 4;
    float l[2] = {lse[at], lse[at + 8]}, dd[2] = {delta[at], delta[at + 8]};
    load_tile(tiles, keys, QKV);
    load_tile(tiles + TILE * HEAD, values, QKV);
    copy_commit();
    float o[HEAD / 8][4];
#pragma unroll
    for (int n = 0; n < HEAD / 8; n++)
        for (int i = 0; i < 4; i++) o[n][i] = 0;
    for (int t = 0; t < last; t++) {
        bf16* tile = tiles + (t & 1) * 2 * TILE * HEAD;
        copy_wait<0>();
        __syncthreads();
        if (t + 1 < last) {
            bf16* next = tiles + (~t & 1) * 2 * TILE * HEAD;
            load_tile(next, keys + (u64)(t + 1) * TILE * QKV, QKV);
            load_tile(next + TILE * HEAD, values + (u64)(t + 1) * TILE * QKV, QKV);
        }
        copy_commit();
        if (t * TILE > from + 15) continue;
        float s[TILE / 8][4], dp[TILE / 8][4];
        times_rows(s, q, tile);
        times_rows(dp, d, tile + TILE * HEAD);
        bool edge = t * TILE + TILE - 1 > from;
#pragma unroll
        for (int n = 0; n < TILE / 8; n++)
            for (int i = 0; i < 4; i++) {
                int key = t * TILE + n * 8 + (lane % 4) * 2 + (i & 1), query = from + lane / 4 + (i >> 1) * 8;
                float p = edge && key > query ? 0.0f : exp2_fast(s[n][i] * (SCORE_SCALE * LOG2_E) - l[i >> 1]);
                s[n][i] = p * (dp[n][i] - dd[i >> 1]);
            }
        add_times(o, s, tile);
    }
    store(d_qkv + (first + from) * QKV + h * HEAD, QKV, o, SCORE_SCALE, SCORE_SCALE);
}

// dk and dv, over all query heads of a group. Grid: tiles of TALL keys, KV heads, rows of tokens. Scores are transposed: a warp
// has 16 keys.
KERNEL attention_back_kv(const bf16* qkv, const bf16* d_out, const float* lse, const float* delta, bf16* d_qkv, int length,
                         int tokens) {
    SHARED(bf16, tiles);
    float* numbers = (float*)(tiles + 4 * TILE * HEAD);
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, kv = blockIdx.y;
    const int group = HEADS / KV_HEADS;
    u64 first = (u64)blockIdx.z * length;
    int from = blockIdx.x * TALL + warp * 16, begin = blockIdx.x * (TALL / TILE), count = length / TILE - begin;
    u32 k[HEAD / 16][4], v[HEAD / 16][4];
    const bf16* keys = qkv + (first + from) * QKV + (HEADS + kv) * HEAD;
    load_left(k, keys, QKV);
    load_left(v, keys + KV_HEADS * HEAD, QKV);
    float dk[HEAD / 8][4], dv[HEAD / 8][4];
#pragma unroll
    for (int n = 0; n < HEAD / 8; n++)
        for (int i = 0; i < 4; i++) dk[n][i] = dv[n][i] = 0;
    for (int t = -1; t < group * count; t++) {
        if (t >= 0) {
            copy_wait<0>();
            __syncthreads();
        }
        int next = t + 1;
        if (next < group * count) {
            int h = kv * group + next / count, query = (begin + next % count) * TILE;
            bf16* tile = tiles + (next & 1) * 2 * TILE * HEAD;
            load_tile(tile, qkv + (first + query) * QKV + h * HEAD, QKV);
            load_tile(tile + TILE * HEAD, d_out + (first + query) * (HEADS * HEAD) + h * HEAD, HEADS * HEAD);
            float* to = numbers + (next & 1) * 2 * TILE;
            u64 at = (u64)h * tokens + first + query;
            if (threadIdx.x < TILE) to[threadIdx.x] = lse[at + threadIdx.x];
            else if (threadIdx.x < 2 * TILE) to[threadIdx.x] = delta[at + threadIdx.x - TILE];
        }
        copy_commit();
        if (t < 0) continue;
        int query = (begin + t % count) * TILE;
        if (query + TILE - 1 < from) continue;
        bf16* tile = tiles + (t & 1) * 2 * TILE * HEAD;
        const float* l = numbers + (t & 1) * 2 * TILE;
        float s[TILE / 8][4], dp[TILE / 8][4];
        times_rows(s, k, tile);
        times_rows(dp, v, tile + TILE * HEAD);
        bool edge = query < from + 15;
#pragma unroll
        for (int n = 0; n < TILE / 8; n++)
            for (int i = 0; i < 4; i++) {
                int column = n * 8 + (lane % 4) * 2 + (i & 1), key = from + lane / 4 + (i >> 1) * 8;
                float p = edge && key > query + column ? 0.0f : exp2_fast(s[n][i] * (SCORE_SCALE * LOG2_E) - l[column]);
                s[n][i] = p;
                dp[n][i] = p * (dp[n][i] - l[TILE + column]);
            }
        add_times(dv, s, tile + TILE * HEAD);
        add_times(dk, dp, tile);
    }
    bf16* to = d_qkv + (first + from) * QKV + (HEADS + kv) * HEAD;
    store(to, QKV, dk, SCORE_SCALE, SCORE_SCALE);
    store(to + KV_HEADS * HEAD, QKV, dv, 1, 1);
}

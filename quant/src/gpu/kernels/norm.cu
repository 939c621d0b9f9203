// RMSNorm, and the embedding.

// y = x / rms(x) * gain, rounded to int8 over `*step` if there is one; a warp for each row.
KERNEL rmsnorm(const float* x, const float* gain, bf16* y, int rows, const float* step, u32* most) {
    int lane = threadIdx.x % 32, row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (row >= rows) return;
    const float4* in = (const float4*)(x + (u64)row * HIDDEN);
    float sum = 0;
    for (int i = lane; i < HIDDEN / 4; i += 32) {
        float4 v = in[i];
        sum = fmaf(v.x, v.x, fmaf(v.y, v.y, fmaf(v.z, v.z, fmaf(v.w, v.w, sum))));
    }
    float r = 1.0f / sqrtf(warp_sum(sum) / HIDDEN + NORM_EPS), largest = 0;
    uint2* out = (uint2*)(y + (u64)row * HIDDEN);
    float s = step ? *step : 0;
    for (int i = lane; i < HIDDEN / 4; i += 32) {
        float4 v = in[i], g = ((const float4*)gain)[i];
        v.x = v.x * r * g.x, v.y = v.y * r * g.y, v.z = v.z * r * g.z, v.w = v.w * r * g.w;
        if (most) largest = fmaxf(fmaxf(largest, fmaxf(fabsf(v.x), fabsf(v.y))), fmaxf(fabsf(v.z), fabsf(v.w)));
        if (step) {
            v.x = round_to(v.x, s, -128, 127), v.y = round_to(v.y, s, -128, 127);
            v.z = round_to(v.z, s, -128, 127), v.w = round_to(v.w, s, -128, 127);
        }
        out[i] = make_uint2(pack(v.x, v.y), pack(v.z, v.w));
    }
    if (most) {
        largest = warp_max(largest);
        if (lane == 0) record_max(most, largest);
    }
}

// Warps that share a row, so that what a lane keeps of it fits its registers.
#define ROW_WARPS (HIDDEN > 1024 ? 8 : 1)
#define NORM_PARTS ((HIDDEN / 4 + 32 * ROW_WARPS - 1) / (32 * ROW_WARPS))

// Sum over the warps that share a row.
DEVICE float row_sum(float x, float* shared) {
    x = warp_sum(x);
    if (ROW_WARPS == 1) return x;
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
    __syncthreads();
    x = 0;
    for (int w = 0; w < ROW_WARPS; w++) x += shared[w];
    __syncthreads();
    return x;
}

// Adds the norm's derivative to dx (or begins it), also as bf16; sums of the gain's go to `gains`, one row a block.
KERNEL rmsnorm_back(const bf16* dy, const float* x, const float* gain, float* dx, bf16* dxb, float* gains, int rows,
                    int begin) {
    __shared__ float sums[HIDDEN], shared[ROW_WARPS];
    // The rows that a block has at a time, and where this thread is in them.
    int teams = blockDim.x / (32 * ROW_WARPS), team = threadIdx.x / (32 * ROW_WARPS), lane = threadIdx.x % (32 * ROW_WARPS);
    for (int i = threadIdx.x; i < HIDDEN; i += blockDim.x) sums[i] = 0;
    float4 dg[NORM_PARTS];
#pragma unroll
    for (int k = 0; k < NORM_PARTS; k++) dg[k] = make_float4(0, 0, 0, 0);
    for (int row = blockIdx.x * teams + team; row < rows; row += gridDim.x * teams) {
        u64 at = (u64)row * (HIDDEN / 4);
        float4 v[NORM_PARTS], d[NORM_PARTS];
        float squares = 0, dot = 0;
#pragma unroll
        for (int k = 0; k < NORM_PARTS; k++) {
            int i = lane + 32 * ROW_WARPS * k;
            v[k] = d[k] = make_float4(0, 0, 0, 0);
            if (i < HIDDEN / 4) {
                v[k] = ((const float4*)x)[at + i];
                uint2 p = ((const uint2*)dy)[at + i];
                d[k] = make_float4(low_of(p.x), high_of(p.x), low_of(p.y), high_of(p.y));
                float4 g = ((const float4*)gain)[i];
                squares = fmaf(v[k].x, v[k].x, fmaf(v[k].y, v[k].y, fmaf(v[k].z, v[k].z, fmaf(v[k].w, v[k].w, squares))));
                dot += d[k].x * g.x * v[k].x + d[k].y * g.y * v[k].y + d[k].z * g.z * v[k].z + d[k].w * g.w * v[k].w;
            }
        }
        float r = 1.0f / sqrtf(row_sum(squares, shared) / HIDDEN + NORM_EPS);
        float pull = row_sum(dot, shared) * r * r * r / HIDDEN;
#pragma unroll
        for (int k = 0; k < NORM_PARTS; k++) {
            int i = lane + 32 * ROW_WARPS * k;
            if (i < HIDDEN / 4) {
                float4 g = ((const float4*)gain)[i];
                float4 o = begin ? make_float4(0, 0, 0, 0) : ((float4*)dx)[at + i];
                o.x += r * g.x * d[k].x - pull * v[k].x;
                o.y += r * g.y * d[k].y - pull * v[k].y;
                o.z += r * g.z * d[k].z - pull * v[k].z;
                o.w += r * g.w * d[k].w - pull * v[k].w;
                ((float4*)dx)[at + i] = o;
                ((uint2*)dxb)[at + i] = make_uint2(pack(o.x, o.y), pack(o.z, o.w));
                dg[k].x = fmaf(d[k].x, v[k].x * r, dg[k].x);
                dg[k].y = fmaf(d[k].y, v[k].y * r, dg[k].y);
                dg[k].z = fmaf(d[k].z, v[k].z * r, dg[k].z);
                dg[k].w = fmaf(d[k].w, v[k].w * r, dg[k].w);
            }
        }
    }
    for (int turn = 0; turn < teams; turn++) {
        __syncthreads();
        if (turn == team) {
#pragma unroll
            for (int k = 0; k < NORM_PARTS; k++) {
                int i = lane + 32 * ROW_WARPS * k;
                if (i < HIDDEN / 4) {
                    sums[4 * i] += dg[k].x, sums[4 * i + 1] += dg[k].y;
                    sums[4 * i + 2] += dg[k].z, sums[4 * i + 3] += dg[k].w;
                }
            }
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < HIDDEN; i += blockDim.x) gains[(u64)blockIdx.x * HIDDEN + i] = sums[i];
}

// Sums the blocks' rows, of each norm; grid: columns / 64, norms.
KERNEL sum_rows(const float* parts, float* out, int rows) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= HIDDEN) return;
    const float* from = parts + (u64)blockIdx.y * rows * HIDDEN + i;
    float sum = 0;
#pragma unroll 8
    for (int r = 0; r < rows; r++) sum += from[(u64)r * HIDDEN];
    out[blockIdx.y * HIDDEN + i] = sum;
}

KERNEL embed(const u32* tokens, const float* table, float* x, int rows) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    u64 row = i / (HIDDEN / 4), part = i % (HIDDEN / 4);
    if (row < rows) ((float4*)x)[i] = ((const float4*)table)[(u64)tokens[row] * (HIDDEN / 4) + part];
}

KERNEL embed_back(const u32* tokens, const float* dx, float* table, int rows) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    u64 row = i / HIDDEN, part = i % HIDDEN;
    if (row < rows) atomicAdd(&table[(u64)tokens[row] * HIDDEN + part], dx[i]);
}

// The rows of the sequences `which` of a text: tokens, and what the teacher's head reads.
KERNEL gather(const u32* which, const u32* text, const bf16* behind, u32* tokens, bf16* aim, int length, int rows) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    u64 row = i / (HIDDEN / 8), part = i % (HIDDEN / 8);
    if (row >= rows) return;
    u64 from = (u64)which[row / length] * length + row % length;
    if (part == 0) tokens[row] = text[from];
    if (behind) ((uint4*)aim)[i] = ((const uint4*)behind)[from * (HIDDEN / 8) + part];
}

KERNEL copy_ids(const u32* from, u32* to, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) to[i] = from[i];
}

KERNEL to_bf16(const float* x, bf16* y, u64 count) {
    u64 i = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * 4;
    if (i + 3 < count) {
        float4 v = *(const float4*)(x + i);
        *(uint2*)(y + i) = make_uint2(pack(v.x, v.y), pack(v.z, v.w));
    } else {
        for (; i < count; i++) y[i] = down(x[i]);
    }
}

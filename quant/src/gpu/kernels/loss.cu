// Divergence of the predictions from the teacher's.

DEVICE void join(float& most, float& sum, float other_most, float other_sum) {
    float top = fmaxf(most, other_most);
    sum = sum * __expf(most - top) + other_sum * __expf(other_most - top);
    most = top;
}

// Largest value and sum of exponentials over a block.
DEVICE void block_join(float& most, float& sum, float* shared) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    for (int s = 16; s; s >>= 1) {
        float m = __shfl_xor_sync(FULL, most, s), e = __shfl_xor_sync(FULL, sum, s);
        join(most, sum, m, e);
    }
    if (lane == 0) shared[warp] = most, shared[32 + warp] = sum;
    __syncthreads();
    most = shared[0], sum = shared[32];
    for (int w = 1; w < warps; w++) join(most, sum, shared[w], shared[32 + w]);
    __syncthreads();
}

// A block a row: logits become their derivative, p - p of the teacher; the divergence in nats goes to `loss`.
KERNEL divergence(bf16* logits, const bf16* teacher, float* loss) {
    __shared__ float shared[64];
    u64 at = (u64)blockIdx.x * (VOCAB / 8);
    uint4 *z = (uint4*)logits + at;
    const uint4* y = (const uint4*)teacher + at;
    float most[2] = {-1e30f, -1e30f}, sum[2] = {0, 0};
    for (int i = threadIdx.x; i < VOCAB / 8; i += blockDim.x) {
        uint4 both[2] = {z[i], y[i]};
#pragma unroll
        for (int k = 0; k < 2; k++) {
            u32 x[4] = {both[k].x, both[k].y, both[k].z, both[k].w};
            float top = most[k];
#pragma unroll
            for (int j = 0; j < 4; j++) top = fmaxf(top, fmaxf(low_of(x[j]), high_of(x[j])));
            float s = sum[k] * __expf(most[k] - top);
#pragma unroll
            for (int j = 0; j < 4; j++) s += __expf(low_of(x[j]) - top) + __expf(high_of(x[j]) - top);
            most[k] = top, sum[k] = s;
        }
    }
    block_join(most[0], sum[0], shared);
    block_join(most[1], sum[1], shared);
    float l0 = most[0] + logf(sum[0]), l1 = most[1] + logf(sum[1]), kl = 0;
    for (int i = threadIdx.x; i < VOCAB / 8; i += blockDim.x) {
        uint4 a = z[i], b = y[i];
        u32 s[4] = {a.x, a.y, a.z, a.w}, t[4] = {b.x, b.y, b.z, b.w}, d[4];
#pragma unroll
        for (int j = 0; j < 4; j++) {
            float s0 = low_of(s[j]) - l0, s1 = high_of(s[j]) - l0, t0 = low_of(t[j]) - l1, t1 = high_of(t[j]) - l1;
            float p0 = __expf(t0), p1 = __expf(t1);
            kl += p0 * (t0 - s0) + p1 * (t1 - s1);
            d[j] = pack(__expf(s0) - p0, __expf(s1) - p1);
        }
        z[i] = make_uint4(d[0], d[1], d[2], d[3]);
    }
    kl = warp_sum(kl);
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = kl;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int w = 1; w < blockDim.x / 32; w++) kl += shared[w];
        loss[blockIdx.x] = kl;
    }
}

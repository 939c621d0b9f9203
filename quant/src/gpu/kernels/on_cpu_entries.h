static const Entry entries[] = {
    ENTRY(rmsnorm), ENTRY(rmsnorm_back), ENTRY(sum_rows), ENTRY(embed), ENTRY(embed_back), ENTRY(gather), ENTRY(copy_ids), ENTRY(to_bf16),
    ENTRY(rope), ENTRY(rope_back), ENTRY(swiglu), ENTRY(swiglu_back), ENTRY(attention), ENTRY(attention_delta),
    ENTRY(round_rows), ENTRY(attention_back_q), ENTRY(attention_back_kv), ENTRY(divergence), ENTRY(round_weights), ENTRY(copy_values),
    ENTRY(drop), ENTRY(muon_begin), ENTRY(muon_scale), ENTRY(muon_end), ENTRY(adam), ENTRY(decode_rope), ENTRY(decode_attention),
    ENTRY(sample), ENTRY(decode_embed), ENTRY(next_position), ENTRY(checksum),
};
extern "C" int launch(const char* name, const unsigned* grid, unsigned threads, void** arguments) {
    return launch_on_cpu(entries, sizeof entries / sizeof *entries, name, grid, threads, arguments);
}

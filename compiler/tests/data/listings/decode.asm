SETC a=64                                                                                            ; 0: control
SETC a=4 x=1                                                                                         ; 1: control
SETC a=24 x=2                                                                                        ; 2: control
SETC a=32 x=3                                                                                        ; 3: control
SETC a=32 x=4                                                                                        ; 4: control
SETC a=2 x=5                                                                                         ; 5: control
SETC a=64 x=6                                                                                        ; 6: control
SETC a=9 x=7                                                                                         ; 7: control
SETC a=8 x=8                                                                                         ; 8: control
LOOP a=58 n=R12                                                                                      ; 9: control
  LOAD a=726 n=32 flags=1                                                                            ; 10: load_ids
  LOAD a=728 c=32 n=128                                                                              ; 11: load_rope
  LOAD a=512 c=160 n=128                                                                             ; 12: load_norm
  EMBED a=524 b=R21 c=R22+0x120 n=64 k=2 sh=3 aux=101                                                ; 13: embed
  LOOP a=57 n=2                                                                                      ; 14: control
    SUMSQ a=R21+0x120 n=64 aux=0x29f2                                                                ; 15: layer 0+ attn_norm
    NORMQ a=R21+0x120 b=160 n=64 m=R22 sh=26 x=1 sig=1                                               ; 16: layer 0+ attn_norm
    MATW a=R16 c=416 n=32 m=1 k=1 x=1 aux=64 wait=1 sig=2                                            ; 17: layer 0+ k_proj
    MATW a=R16+0x22 c=544 n=4 m=1 k=1 x=1 aux=8 sig=2                                                ; 18: layer 0+ v_proj
    MATW a=R16+0x27 c=576 n=64 m=1 k=1 x=1 aux=128 sig=2                                             ; 19: layer 0+ q_proj
    ROPE a=R21+0x1a0 b=R22+0x20 c=R21+0x1e0 n=1 wait=2                                               ; 20: layer 0+ k_rope
    HADW a=R21+0x1e0 c=R21+0x1e0 n=64                                                                ; 21: layer 0+ k_rotate
    HADX a=R21+0x1e0 c=R21+0x1e0 n=64 k=8                                                            ; 22: layer 0+ k_rotate
    HADX a=R21+0x1e0 c=R21+0x1e0 n=64 k=16                                                           ; 23: layer 0+ k_rotate
    HADX a=R21+0x1e0 c=R21+0x1e0 n=64 k=32 sh=4 flags=1                                              ; 24: layer 0+ k_rotate
    STATK a=R21+0x1e0 c=1 n=1                                                                        ; 25: layer 0+ k_scale
    QK a=R21+0x1e0 b=R3 c=R17+0x342 n=1 m=R2 k=18 aux=1 sig=3                                        ; 26: layer 0+ k_append
    QV a=R21+0x220 b=R3 c=R17+0x354 n=1 m=R2 k=2 sh=4 aux=2 wait=2 sig=4                             ; 27: layer 0+ v_append
    ROPE a=R21+0x240 b=R22+0x20 c=R23+0x2c0 n=2 wait=2                                               ; 28: layer 0+ q_rope
    ROPE a=R21+0x240 b=R22+0x60 c=R23+0x340 n=2                                                      ; 29: layer 0+ q_rope
    HADW a=R23+0x2c0 c=R23+0x2c0 n=256                                                               ; 30: layer 0+ q_rotate
    HADX a=R23+0x2c0 c=R23+0x2c0 n=256 k=8                                                           ; 31: layer 0+ q_rotate
    HADX a=R23+0x2c0 c=R23+0x2c0 n=256 k=16                                                          ; 32: layer 0+ q_rotate
    HADX a=R23+0x2c0 c=R23+0x2c0 n=256 k=32 sh=3 flags=1                                             ; 33: layer 0+ q_rotate
    STATQ a=R23+0x2c0 c=2 n=2 m=R24 k=2                                                              ; 34: layer 0+ q_scale
    QQ a=R23+0x2c0 b=2 c=1 n=2 m=R24 k=2 x=1                                                         ; 35: layer 0+ q_codes
    STATQ a=R23+0x340 c=4 n=2 m=R24 k=2                                                              ; 36: layer 0+ q_scale
    QQ a=R23+0x340 b=4 c=2 n=2 m=R24 k=2 x=1 sig=7                                                   ; 37: layer 0+ q_codes
    MATK a=R17+0x34b b=1 c=32 n=R9 m=2 aux=2 wait=7 pfw=3                                            ; 38: layer 0+ score head 0
    MATK a=R17+0x342 b=2 n=1 m=2 aux=4 sig=2                                                         ; 39: layer 0+ score head 0
    SOFTMAX a=R2 b=R3 c=3 n=R11 m=R21 k=0x7530 sh=27 x=2 aux=0x40002 flags=4 wait=2 sig=1            ; 40: layer 0+ softmax head 0
    MATV a=R17+0x354 b=3 c=960 n=R10 m=2 k=2 sh=1 x=2 aux=8 flags=4 wait=1 sig=2 pfw=4               ; 41: layer 0+ attn head 0
    ATTQ a=R21+0x3c0 b=R23+0x2 c=5 n=8 m=R22 k=0x61a8 sh=23 x=1 wait=2 sig=1                         ; 42: layer 0+ attn_out head 0
    MATW a=R16+0x6b b=5 c=352 n=32 m=1 k=1 x=1 aux=64 wait=1 sig=2                                   ; 43: layer 0+ o_proj
    RADD a=R21+0x120 b=R21+0x160 c=R21+0x120 n=64 wait=2                                             ; 44: layer 0+ attn_residual
    SUMSQ a=R21+0x120 n=64 aux=0x29f2                                                                ; 45: layer 0+ mlp_norm
    NORMQ a=R21+0x120 b=224 n=64 m=R22 sh=26 x=1 sig=5                                               ; 46: layer 0+ mlp_norm
    MATW a=R16+0x8d c=416 n=96 m=1 k=1 x=1 aux=192 wait=5                                            ; 47: layer 0+ gate_proj
    MATW a=R16+0xf3 c=608 n=96 m=1 k=1 x=1 aux=192 sig=6                                             ; 48: layer 0+ up_proj
    LOAD a=R18+0x204 c=160 n=128                                                                     ; 49: load_norm
    SILU a=R21+0x1a0 b=R21+0x260 c=6 n=192 m=R22 sh=11 x=1 wait=6 sig=5                              ; 50: layer 0+ silu
    MATW a=R16+0x159 b=6 c=352 n=32 m=1 k=1 x=1 aux=64 wait=5 sig=6                                  ; 51: layer 0+ down_proj
    RADD a=R21+0x120 b=R21+0x160 c=R21+0x120 n=64 wait=6                                             ; 52: layer 0+ mlp_residual
    ADD a=R16+0x17b x=16                                                                             ; 53: control
    ADD a=R17+0x14 x=17                                                                              ; 54: control
    ADD a=R18+0x4 x=18                                                                               ; 55: control
  ENDLOOP                                                                                            ; 56: control
ENDLOOP                                                                                              ; 57: control
LOOP a=65 n=R15                                                                                      ; 58: control
  SUMSQ a=R27+0x120 n=64 aux=0x29f2                                                                  ; 59: final_norm
  NORMQ a=R27+0x120 b=160 n=64 sh=26 x=1 sig=1                                                       ; 60: final_norm
  MATW a=758 c=416 n=64 m=1 k=1 x=1 aux=128 flags=2 wait=1 sig=2                                     ; 61: head
  ARGMAX a=416 n=101 flags=1 wait=2                                                                  ; 62: argmax
  STORE a=R21+0x1a0 c=R22+0x2dc n=128                                                                ; 63: store_logits
ENDLOOP                                                                                              ; 64: control
END                                                                                                  ; 65: control

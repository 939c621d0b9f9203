SETC a=64                                                                                            ; 0: control
SETC x=1                                                                                             ; 1: control
SETC a=24 x=2                                                                                        ; 2: control
SETC a=32 x=3                                                                                        ; 3: control
SETC x=4                                                                                             ; 4: control
SETC a=2 x=5                                                                                         ; 5: control
SETC a=32 x=6                                                                                        ; 6: control
SETC x=7                                                                                             ; 7: control
SETC a=8 x=8                                                                                         ; 8: control
LOOP a=54 n=R12                                                                                      ; 9: control
  LOAD a=726 n=32 flags=1                                                                            ; 10: load_ids
  LOAD a=728 c=32 n=64                                                                               ; 11: load_rope
  LOAD a=512 c=96 n=128                                                                              ; 12: load_norm
  EMBED a=524 b=R21 c=R22+0xe0 n=64 k=2 sh=3 aux=101                                                 ; 13: embed
  LOOP a=53 n=2                                                                                      ; 14: control
    SUMSQ a=R21+0xe0 n=64 aux=0x29f2                                                                 ; 15: layer 0+ attn_norm
    NORMQ a=R21+0xe0 b=96 n=64 m=R22 sh=26 x=1 sig=1                                                 ; 16: layer 0+ attn_norm
    MATW a=R16 c=352 n=32 m=1 k=1 x=1 aux=64 wait=1 sig=2                                            ; 17: layer 0+ k_proj
    MATW a=R16+0x22 c=480 n=4 m=1 k=1 x=1 aux=8 sig=2                                                ; 18: layer 0+ v_proj
    MATW a=R16+0x27 c=512 n=64 m=1 k=1 x=1 aux=128 sig=2                                             ; 19: layer 0+ q_proj
    ROPE a=R21+0x160 b=R22+0x20 c=R21+0x1a0 n=1 wait=2                                               ; 20: layer 0+ k_rope
    HADW a=R21+0x1a0 c=R21+0x1a0 n=64                                                                ; 21: layer 0+ k_rotate
    HADX a=R21+0x1a0 c=R21+0x1a0 n=64 k=8                                                            ; 22: layer 0+ k_rotate
    HADX a=R21+0x1a0 c=R21+0x1a0 n=64 k=16                                                           ; 23: layer 0+ k_rotate
    HADX a=R21+0x1a0 c=R21+0x1a0 n=64 k=32 sh=4 flags=1                                              ; 24: layer 0+ k_rotate
    STATK a=R21+0x1a0 c=1 n=1                                                                        ; 25: layer 0+ k_scale
    QK a=R21+0x1a0 b=R3 c=R17+0x342 n=1 m=R2 k=9 aux=1 sig=3                                         ; 26: layer 0+ k_append
    QV a=R21+0x1e0 b=R3 c=R17+0x34b n=1 m=R2 k=1 sh=4 aux=1 wait=2 sig=4                             ; 27: layer 0+ v_append
    ROPE a=R21+0x200 b=R22+0x20 c=R23+0x280 n=2 wait=2                                               ; 28: layer 0+ q_rope
    HADW a=R23+0x280 c=R23+0x280 n=128                                                               ; 29: layer 0+ q_rotate
    HADX a=R23+0x280 c=R23+0x280 n=128 k=8                                                           ; 30: layer 0+ q_rotate
    HADX a=R23+0x280 c=R23+0x280 n=128 k=16                                                          ; 31: layer 0+ q_rotate
    HADX a=R23+0x280 c=R23+0x280 n=128 k=32 sh=3 flags=1                                             ; 32: layer 0+ q_rotate
    STATQ a=R23+0x280 c=2 n=2 m=R24 k=2                                                              ; 33: layer 0+ q_scale
    QQ a=R23+0x280 b=2 c=1 n=2 m=R24 k=2 x=1 sig=7                                                   ; 34: layer 0+ q_codes
    MATK a=R17+0x342 b=1 n=R9 m=2 aux=2 wait=7 sig=2 pfw=3                                           ; 35: layer 0+ score head 0
    SOFTMAX a=R2 b=R3 c=2 n=R11 m=R21 k=0x7530 sh=27 x=2 aux=0x20002 flags=4 wait=2 sig=1            ; 36: layer 0+ softmax head 0
    MATV a=R17+0x34b b=2 c=768 n=R10 m=2 k=1 sh=1 x=2 aux=8 flags=4 wait=1 sig=2 pfw=4               ; 37: layer 0+ attn head 0
    ATTQ a=R21+0x300 b=R23+0x2 c=4 n=8 m=R22 k=0x61a8 sh=23 x=1 wait=2 sig=1                         ; 38: layer 0+ attn_out head 0
    MATW a=R16+0x6b b=4 c=288 n=32 m=1 k=1 x=1 aux=64 wait=1 sig=2                                   ; 39: layer 0+ o_proj
    RADD a=R21+0xe0 b=R21+0x120 c=R21+0xe0 n=64 wait=2                                               ; 40: layer 0+ attn_residual
    SUMSQ a=R21+0xe0 n=64 aux=0x29f2                                                                 ; 41: layer 0+ mlp_norm
    NORMQ a=R21+0xe0 b=160 n=64 m=R22 sh=26 x=1 sig=5                                                ; 42: layer 0+ mlp_norm
    MATW a=R16+0x8d c=352 n=96 m=1 k=1 x=1 aux=192 wait=5                                            ; 43: layer 0+ gate_proj
    MATW a=R16+0xf3 c=544 n=96 m=1 k=1 x=1 aux=192 sig=6                                             ; 44: layer 0+ up_proj
    LOAD a=R18+0x204 c=96 n=128                                                                      ; 45: load_norm
    SILU a=R21+0x160 b=R21+0x220 c=5 n=192 m=R22 sh=11 x=1 wait=6 sig=5                              ; 46: layer 0+ silu
    MATW a=R16+0x159 b=5 c=288 n=32 m=1 k=1 x=1 aux=64 wait=5 sig=6                                  ; 47: layer 0+ down_proj
    RADD a=R21+0xe0 b=R21+0x120 c=R21+0xe0 n=64 wait=6                                               ; 48: layer 0+ mlp_residual
    ADD a=R16+0x17b x=16                                                                             ; 49: control
    ADD a=R17+0xa x=17                                                                               ; 50: control
    ADD a=R18+0x4 x=18                                                                               ; 51: control
  ENDLOOP                                                                                            ; 52: control
ENDLOOP                                                                                              ; 53: control
LOOP a=61 n=R15                                                                                      ; 54: control
  SUMSQ a=R27+0xe0 n=64 aux=0x29f2                                                                   ; 55: final_norm
  NORMQ a=R27+0xe0 b=96 n=64 sh=26 x=1 sig=1                                                         ; 56: final_norm
  MATW a=758 c=352 n=64 m=1 k=1 x=1 aux=128 flags=2 wait=1 sig=2                                     ; 57: head
  ARGMAX a=352 n=101 flags=1 wait=2                                                                  ; 58: argmax
  STORE a=R21+0x160 c=R22+0x2da n=128                                                                ; 59: store_logits
ENDLOOP                                                                                              ; 60: control
END                                                                                                  ; 61: control

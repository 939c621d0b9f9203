SETC a=64                                                                                            ; 0: control
SETC a=4 x=1                                                                                         ; 1: control
SETC a=24 x=2                                                                                        ; 2: control
SETC a=32 x=3                                                                                        ; 3: control
SETC a=32 x=4                                                                                        ; 4: control
SETC a=2 x=5                                                                                         ; 5: control
SETC a=64 x=6                                                                                        ; 6: control
SETC a=9 x=7                                                                                         ; 7: control
SETC a=16 x=8                                                                                        ; 8: control
LOOP a=67 n=R12                                                                                      ; 9: control
  LOAD a=729 n=32 flags=1                                                                            ; 10: load_ids
  LOAD a=512 c=32 n=160                                                                              ; 11: load_norm
  EMBED a=527 b=R21 c=R22+0xc0 n=64 k=2 sh=3 aux=101                                                 ; 12: embed
  LOOP a=66 n=2                                                                                      ; 13: control
    SUMSQ a=R21+0xc0 n=64 aux=0x29f2                                                                 ; 14: layer 0+ attn_norm
    NORMQ a=R21+0xc0 b=32 n=64 m=R22 sh=26 x=1 sig=1                                                 ; 15: layer 0+ attn_norm
    MATW a=R16 c=576 n=64 m=1 k=1 x=1 aux=128 wait=1 sig=2                                           ; 16: layer 0+ k_proj
    MATW a=R16+0x44 c=832 n=16 m=1 k=1 x=1 aux=32 sig=2                                              ; 17: layer 0+ v_proj
    MATW a=R16+0x55 c=864 n=128 m=1 k=1 x=1 aux=256 sig=2                                            ; 18: layer 0+ q_proj
    EMBED a=R21+0x2db b=160 c=R22+0x140 n=128 k=4 aux=3                                              ; 19: layer 0+ rope_rows
    EMBED a=R21+0x2db b=161 c=R22+0x1c0 n=128 k=4 aux=3                                              ; 20: layer 0+ rope_rows
    ROPE a=R21+0x240 b=R22+0x140 c=R21+0x2c0 n=1 wait=2                                              ; 21: layer 0+ k_rope
    ROPE a=R21+0x280 b=R22+0x1c0 c=R21+0x300 n=1                                                     ; 22: layer 0+ k_rope
    HADW a=R21+0x2c0 c=R21+0x2c0 n=128                                                               ; 23: layer 0+ k_rotate
    HADX a=R21+0x2c0 c=R21+0x2c0 n=128 k=8                                                           ; 24: layer 0+ k_rotate
    HADX a=R21+0x2c0 c=R21+0x2c0 n=128 k=16                                                          ; 25: layer 0+ k_rotate
    HADX a=R21+0x2c0 c=R21+0x2c0 n=128 k=32 sh=4 flags=1                                             ; 26: layer 0+ k_rotate
    STATK a=R21+0x2c0 c=1 n=2                                                                        ; 27: layer 0+ k_scale
    QK a=R21+0x2c0 b=R3 c=R17+0x426 n=2 m=R2 k=18 aux=1 sig=3                                        ; 28: layer 0+ k_append
    QV a=R21+0x340 b=R3 c=R17+0x44a n=2 m=R2 k=4 sh=4 aux=2 wait=2 sig=4                             ; 29: layer 0+ v_append
    ROPE a=R21+0x360 b=R22+0x140 c=R23+0x460 n=2 wait=2                                              ; 30: layer 0+ q_rope
    ROPE a=R21+0x3e0 b=R22+0x1c0 c=R23+0x4e0 n=2                                                     ; 31: layer 0+ q_rope
    ROPE a=R21+0x360 b=R22+0x180 c=R23+0x560 n=2                                                     ; 32: layer 0+ q_rope
    ROPE a=R21+0x3e0 b=R22+0x200 c=R23+0x5e0 n=2                                                     ; 33: layer 0+ q_rope
    HADW a=R23+0x460 c=R23+0x460 n=512                                                               ; 34: layer 0+ q_rotate
    HADX a=R23+0x460 c=R23+0x460 n=512 k=8                                                           ; 35: layer 0+ q_rotate
    HADX a=R23+0x460 c=R23+0x460 n=512 k=16                                                          ; 36: layer 0+ q_rotate
    HADX a=R23+0x460 c=R23+0x460 n=512 k=32 sh=3 flags=1                                             ; 37: layer 0+ q_rotate
    STATQ a=R23+0x460 c=3 n=4 m=R24 k=2                                                              ; 38: layer 0+ q_scale
    QQ a=R23+0x460 b=3 c=1 n=4 m=R24 k=2 x=1                                                         ; 39: layer 0+ q_codes
    STATQ a=R23+0x560 c=7 n=4 m=R24 k=2                                                              ; 40: layer 0+ q_scale
    QQ a=R23+0x560 b=7 c=3 n=4 m=R24 k=2 x=1 sig=7                                                   ; 41: layer 0+ q_codes
    MATK a=R17+0x42f b=1 c=32 n=R9 m=2 aux=3 wait=7 pfw=3                                            ; 42: layer 0+ score head 0
    MATK a=R17+0x426 b=3 n=1 m=2 aux=7 sig=2                                                         ; 43: layer 0+ score head 0
    MATK a=R17+0x441 b=2 c=96 n=R9 m=2 aux=5                                                         ; 44: layer 0+ score head 1
    MATK a=R17+0x438 b=4 c=64 n=1 m=2 aux=9 sig=2                                                    ; 45: layer 0+ score head 1
    SOFTMAX a=R2 b=R3 c=5 n=R11 m=R21 k=0x7530 sh=27 x=4 aux=0x70003 flags=4 wait=2 sig=1            ; 46: layer 0+ softmax head 0
    MATV a=R17+0x44a b=5 c=0x660 n=R10 m=2 k=2 sh=2 x=4 aux=16 flags=4 wait=1 sig=2 pfw=4            ; 47: layer 0+ attn head 0
    SOFTMAX a=R2 b=R3 c=5 n=R11 m=R21+0x2 k=0x7530 sh=27 x=4 aux=0x70003 flags=4 wait=2 sig=1        ; 48: layer 0+ softmax head 1
    ATTQ a=R21+0x660 b=R23+0x3 c=9 n=16 m=R22 k=0x61a8 sh=23 x=1 wait=2                              ; 49: layer 0+ attn_out head 0
    MATV a=R17+0x44e b=7 c=0x680 n=R10 m=2 k=2 sh=2 x=4 aux=16 flags=4 wait=1 sig=2                  ; 50: layer 0+ attn head 1
    ATTQ a=R21+0x680 b=R23+0x5 c=9 n=16 m=R22 k=0x61a8 sh=23 x=1 aux=64 wait=2 sig=1                 ; 51: layer 0+ attn_out head 1
    MATW a=R16+0xdd b=9 c=256 n=32 m=1 k=1 x=1 aux=64 wait=1 sig=2                                   ; 52: layer 0+ o_proj
    RADD a=R21+0xc0 b=R21+0x100 c=R21+0xc0 n=64 wait=2                                               ; 53: layer 0+ attn_residual
    SUMSQ a=R21+0xc0 n=64 aux=0x29f2                                                                 ; 54: layer 0+ mlp_norm
    NORMQ a=R21+0xc0 b=96 n=64 m=R22 sh=26 x=1 sig=5                                                 ; 55: layer 0+ mlp_norm
    MATW a=R16+0xff c=320 n=96 m=1 k=1 x=1 aux=192 wait=5                                            ; 56: layer 0+ gate_proj
    MATW a=R16+0x165 c=512 n=96 m=1 k=1 x=1 aux=192 sig=6                                            ; 57: layer 0+ up_proj
    LOAD a=R18+0x205 c=32 n=160                                                                      ; 58: load_norm
    SILU a=R21+0x140 b=R21+0x200 c=10 n=192 m=R22 sh=11 x=1 wait=6 sig=5                             ; 59: layer 0+ silu
    MATW a=R16+0x1cb b=10 c=256 n=32 m=1 k=1 x=1 aux=64 wait=5 sig=6                                 ; 60: layer 0+ down_proj
    RADD a=R21+0xc0 b=R21+0x100 c=R21+0xc0 n=64 wait=6                                               ; 61: layer 0+ mlp_residual
    ADD a=R16+0x1ed x=16                                                                             ; 62: control
    ADD a=R17+0x2c x=17                                                                              ; 63: control
    ADD a=R18+0x5 x=18                                                                               ; 64: control
  ENDLOOP                                                                                            ; 65: control
ENDLOOP                                                                                              ; 66: control
LOOP a=74 n=R15                                                                                      ; 67: control
  SUMSQ a=R27+0xc0 n=64 aux=0x29f2                                                                   ; 68: final_norm
  NORMQ a=R27+0xc0 b=32 n=64 sh=26 x=1 sig=1                                                         ; 69: final_norm
  MATW a=986 c=320 n=64 m=1 k=1 x=1 aux=128 flags=2 wait=1 sig=2                                     ; 70: head
  ARGMAX a=320 n=101 flags=1 wait=2                                                                  ; 71: argmax
  STORE a=R21+0x140 c=R22+0x2e7 n=128                                                                ; 72: store_logits
ENDLOOP                                                                                              ; 73: control
END                                                                                                  ; 74: control

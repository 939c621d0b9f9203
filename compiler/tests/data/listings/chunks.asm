SETC a=64                                                                                            ; 0: control
SETC a=4 x=1                                                                                         ; 1: control
SETC a=24 x=2                                                                                        ; 2: control
SETC a=32 x=3                                                                                        ; 3: control
SETC a=32 x=4                                                                                        ; 4: control
SETC a=1 x=5                                                                                         ; 5: control
SETC a=64 x=6                                                                                        ; 6: control
SETC a=9 x=7                                                                                         ; 7: control
SETC a=16 x=8                                                                                        ; 8: control
LOOP a=77 n=R12                                                                                      ; 9: control
  LOAD a=0x291e n=32 flags=1                                                                         ; 10: load_ids
  LOAD a=0x2920 c=32 n=128                                                                           ; 11: load_rope
  LOAD a=512 c=160 n=128                                                                             ; 12: load_norm
  EMBED a=524 b=R21 c=R22+0x120 n=64 k=2 sh=3 aux=0x1389                                             ; 13: embed
  LOOP a=76 n=2                                                                                      ; 14: control
    SUMSQ a=R21+0x120 n=64 aux=0x29f2                                                                ; 15: layer 0+ attn_norm
    NORMQ a=R21+0x120 b=160 n=64 m=R22 sh=26 x=1 sig=1                                               ; 16: layer 0+ attn_norm
    MATW a=R16 c=416 n=128 m=1 k=1 x=1 aux=256 wait=1 sig=2                                          ; 17: layer 0+ k_proj
    MATW a=R16+0x88 c=928 n=32 m=1 k=1 x=1 aux=64 sig=2                                              ; 18: layer 0+ v_proj
    MATW a=R16+0xaa c=992 n=128 m=1 k=1 x=1 aux=256 sig=2                                            ; 19: layer 0+ q_proj
    ROPE a=R21+0x1a0 b=R22+0x20 c=R21+0x2a0 n=4 wait=2                                               ; 20: layer 0+ k_rope
    HADW a=R21+0x2a0 c=R21+0x2a0 n=256                                                               ; 21: layer 0+ k_rotate
    HADX a=R21+0x2a0 c=R21+0x2a0 n=256 k=8                                                           ; 22: layer 0+ k_rotate
    HADX a=R21+0x2a0 c=R21+0x2a0 n=256 k=16                                                          ; 23: layer 0+ k_rotate
    HADX a=R21+0x2a0 c=R21+0x2a0 n=256 k=32 sh=4 flags=1                                             ; 24: layer 0+ k_rotate
    STATK a=R21+0x2a0 c=1 n=4                                                                        ; 25: layer 0+ k_scale
    QK a=R21+0x2a0 b=R3 c=R17+0x3d07 n=4 m=R2 k=18 aux=1 sig=3                                       ; 26: layer 0+ k_append
    QV a=R21+0x3a0 b=R3 c=R17+0x3d4f n=4 m=R2 k=4 sh=4 aux=2 wait=2 sig=4                            ; 27: layer 0+ v_append
    ROPE a=R21+0x3e0 b=R22+0x20 c=R23+0x4e0 n=4 wait=2                                               ; 28: layer 0+ q_rope
    ROPE a=R21+0x3e0 b=R22+0x60 c=R23+0x5e0 n=4                                                      ; 29: layer 0+ q_rope
    HADW a=R23+0x4e0 c=R23+0x4e0 n=512                                                               ; 30: layer 0+ q_rotate
    HADX a=R23+0x4e0 c=R23+0x4e0 n=512 k=8                                                           ; 31: layer 0+ q_rotate
    HADX a=R23+0x4e0 c=R23+0x4e0 n=512 k=16                                                          ; 32: layer 0+ q_rotate
    HADX a=R23+0x4e0 c=R23+0x4e0 n=512 k=32 sh=3 flags=1                                             ; 33: layer 0+ q_rotate
    STATQ a=R23+0x4e0 c=5 n=4 m=R24 k=1                                                              ; 34: layer 0+ q_scale
    QQ a=R23+0x4e0 b=5 c=1 n=4 m=R24 k=1 x=1                                                         ; 35: layer 0+ q_codes
    STATQ a=R23+0x5e0 c=9 n=4 m=R24 k=1                                                              ; 36: layer 0+ q_scale
    QQ a=R23+0x5e0 b=9 c=5 n=4 m=R24 k=1 x=1 sig=7                                                   ; 37: layer 0+ q_codes
    MATK a=R17+0x3d10 b=1 c=32 n=R9 m=1 aux=5 wait=7 pfw=3                                           ; 38: layer 0+ score head 0
    MATK a=R17+0x3d07 b=5 n=1 m=1 aux=9 sig=2                                                        ; 39: layer 0+ score head 0
    MATK a=R17+0x3d22 b=2 c=96 n=R9 m=1 aux=6                                                        ; 40: layer 0+ score head 1
    MATK a=R17+0x3d19 b=6 c=64 n=1 m=1 aux=10 sig=2                                                  ; 41: layer 0+ score head 1
    SOFTMAX a=R2 b=R3 c=9 n=R11 m=R21 k=0x7530 sh=27 x=4 aux=0x90005 flags=4 wait=2 sig=1            ; 42: layer 0+ softmax head 0
    MATV a=R17+0x3d4f b=9 c=0x6e0 n=R10 m=1 k=2 sh=2 x=4 aux=16 flags=4 wait=1 sig=2 pfw=4           ; 43: layer 0+ attn head 0
    MATK a=R17+0x3d34 b=3 c=32 n=R9 m=1 aux=7                                                        ; 44: layer 0+ score head 2
    MATK a=R17+0x3d2b b=7 n=1 m=1 aux=11 sig=2                                                       ; 45: layer 0+ score head 2
    SOFTMAX a=R2 b=R3 c=9 n=R11 m=R21+0x2 k=0x7530 sh=27 x=4 aux=0x80004 flags=4 wait=2 sig=1        ; 46: layer 0+ softmax head 1
    ATTQ a=R21+0x6e0 b=R22+0x5 c=13 n=16 m=R22 k=0x61a8 sh=23 x=1 wait=2                             ; 47: layer 0+ attn_out head 0
    MATV a=R17+0x3d53 b=11 c=0x6f0 n=R10 m=1 k=2 sh=2 x=4 aux=16 flags=4 wait=1 sig=2                ; 48: layer 0+ attn head 1
    MATK a=R17+0x3d46 b=4 c=96 n=R9 m=1 aux=8                                                        ; 49: layer 0+ score head 3
    MATK a=R17+0x3d3d b=8 c=64 n=1 m=1 aux=12 sig=2                                                  ; 50: layer 0+ score head 3
    SOFTMAX a=R2 b=R3 c=9 n=R11 m=R21 k=0x7530 sh=27 x=4 aux=0xb0007 flags=4 wait=2 sig=1            ; 51: layer 0+ softmax head 2
    ATTQ a=R21+0x6f0 b=R22+0x6 c=13 n=16 m=R22 k=0x61a8 sh=23 x=1 aux=32 wait=2                      ; 52: layer 0+ attn_out head 1
    MATV a=R17+0x3d57 b=9 c=0x6e0 n=R10 m=1 k=2 sh=2 x=4 aux=16 flags=4 wait=1 sig=2                 ; 53: layer 0+ attn head 2
    SOFTMAX a=R2 b=R3 c=9 n=R11 m=R21+0x2 k=0x7530 sh=27 x=4 aux=0xa0006 flags=4 wait=2 sig=1        ; 54: layer 0+ softmax head 3
    ATTQ a=R21+0x6e0 b=R22+0x7 c=13 n=16 m=R22 k=0x61a8 sh=23 x=1 aux=64 wait=2                      ; 55: layer 0+ attn_out head 2
    MATV a=R17+0x3d5b b=11 c=0x6f0 n=R10 m=1 k=2 sh=2 x=4 aux=16 flags=4 wait=1 sig=2                ; 56: layer 0+ attn head 3
    ATTQ a=R21+0x6f0 b=R22+0x8 c=13 n=16 m=R22 k=0x61a8 sh=23 x=1 aux=96 wait=2 sig=1                ; 57: layer 0+ attn_out head 3
    MATW a=R16+0x132 b=13 c=352 n=32 m=1 k=1 x=1 aux=64 wait=1 sig=2                                 ; 58: layer 0+ o_proj
    RADD a=R21+0x120 b=R21+0x160 c=R21+0x120 n=64 wait=2                                             ; 59: layer 0+ attn_residual
    SUMSQ a=R21+0x120 n=64 aux=0x29f2                                                                ; 60: layer 0+ mlp_norm
    NORMQ a=R21+0x120 b=224 n=64 m=R22 sh=26 x=1 sig=5                                               ; 61: layer 0+ mlp_norm
    MATW a=R16+0x154 c=416 n=0x880 m=1 k=1 x=1 aux=0x13a0 wait=5                                     ; 62: layer 0+ gate_proj
    MATW a=R16+0xa5c c=0x1540 n=0x880 m=1 k=1 x=1 aux=0x13a0 sig=6                                   ; 63: layer 0+ up_proj
    MATW a=R16+0x1364 c=0x12a0 n=336 m=1 k=1 x=1 aux=0x13a0                                          ; 64: layer 0+ gate_proj
    MATW a=R16+0x14c9 c=0x2640 n=336 m=1 k=1 x=1 aux=0x13a0 sig=6                                    ; 65: layer 0+ up_proj
    LOAD a=R18+0x204 c=160 n=128                                                                     ; 66: load_norm
    SILU a=R21+0x1a0 b=R21+0x1540 c=14 n=0x1100 m=R22 sh=11 x=1 wait=6 sig=5                         ; 67: layer 0+ silu
    SILU a=R21+0x12a0 b=R21+0x2640 c=14 n=672 m=R22 sh=11 x=1 aux=0x1100 wait=6 sig=5                ; 68: layer 0+ silu
    MATW wait=5                                                                                      ; 69: layer 0+ sync
    MATW a=R16+0x162e b=14 c=352 n=32 m=1 k=20 x=1 aux=64 wait=5 sig=6                               ; 70: layer 0+ down_proj
    RADD a=R21+0x120 b=R21+0x160 c=R21+0x120 n=64 wait=6                                             ; 71: layer 0+ mlp_residual
    ADD a=R16+0x18b0 x=16                                                                            ; 72: control
    ADD a=R17+0x58 x=17                                                                              ; 73: control
    ADD a=R18+0x4 x=18                                                                               ; 74: control
  ENDLOOP                                                                                            ; 75: control
ENDLOOP                                                                                              ; 76: control
LOOP a=90 n=R15                                                                                      ; 77: control
  SUMSQ a=R27+0x120 n=64 aux=0x29f2                                                                  ; 78: final_norm
  NORMQ a=R27+0x120 b=160 n=64 sh=26 x=1 sig=1                                                       ; 79: final_norm
  MATW a=0x3160 c=416 n=0x400 m=1 k=1 x=1 aux=0x800 flags=2 wait=1 sig=2                             ; 80: head
  ARGMAX a=416 n=0x800 flags=1 wait=2                                                                ; 81: argmax
  STORE a=R21+0x1a0 c=R22+0x2924 n=0x800 sig=1                                                       ; 82: store_logits
  MATW a=0x3620 c=0x9a0 n=0x400 m=1 k=1 x=1 aux=0x800 flags=2 sig=2                                  ; 83: head
  ARGMAX a=0x9a0 n=0x800 aux=0x800 wait=2                                                            ; 84: argmax
  STORE a=R21+0x9a0 c=R22+0x29a4 n=0x800                                                             ; 85: store_logits
  MATW a=0x3ae0 c=416 n=464 m=1 k=1 x=1 aux=928 flags=2 wait=1 sig=2                                 ; 86: head
  ARGMAX a=416 n=905 aux=0x1000 wait=2                                                               ; 87: argmax
  STORE a=R21+0x1a0 c=R22+0x2a24 n=928                                                               ; 88: store_logits
ENDLOOP                                                                                              ; 89: control
END                                                                                                  ; 90: control

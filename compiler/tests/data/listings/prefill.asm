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
  LOAD a=512 c=544 n=128                                                                             ; 12: load_norm
  EMBED a=524 b=R21 c=R22+0x2a0 n=64 k=2 sh=3 aux=101                                                ; 13: embed
  LOOP a=57 n=2                                                                                      ; 14: control
    SUMSQ a=R21+0x2a0 n=64 aux=0x29f2                                                                ; 15: layer 0+ attn_norm
    NORMQ a=R21+0x2a0 b=544 n=64 m=R22 sh=26 x=2 sig=1                                               ; 16: layer 0+ attn_norm
    MATW a=R16 c=0x4a0 n=32 m=1 k=1 x=2 aux=64 wait=1 sig=2                                          ; 17: layer 0+ k_proj
    MATW a=R16+0x22 c=0x5a0 n=4 m=1 k=1 x=2 aux=8 sig=2                                              ; 18: layer 0+ v_proj
    MATW a=R16+0x27 c=0x5c0 n=64 m=1 k=1 x=2 aux=128 sig=2                                           ; 19: layer 0+ q_proj
    ROPE a=R21+0x4a0 b=R22+0x20 c=R21+0x520 n=1 wait=2                                               ; 20: layer 0+ k_rope
    HADW a=R21+0x520 c=R21+0x520 n=64                                                                ; 21: layer 0+ k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=8                                                            ; 22: layer 0+ k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=16                                                           ; 23: layer 0+ k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=32 sh=4 flags=1                                              ; 24: layer 0+ k_rotate
    STATK a=R21+0x520 c=1 n=1                                                                        ; 25: layer 0+ k_scale
    QK a=R21+0x520 b=R3 c=R17+0x342 n=1 m=R2 k=18 aux=1 sig=3                                        ; 26: layer 0+ k_append
    QV a=R21+0x5a0 b=R3 c=R17+0x354 n=1 m=R2 k=2 sh=4 aux=2 wait=2 sig=4                             ; 27: layer 0+ v_append
    ROPE a=R21+0x5c0 b=R22+0x20 c=R23+0x6c0 n=2 wait=2                                               ; 28: layer 0+ q_rope
    ROPE a=R21+0x5c0 b=R22+0x60 c=R23+0x740 n=2                                                      ; 29: layer 0+ q_rope
    HADW a=R23+0x6c0 c=R23+0x6c0 n=256                                                               ; 30: layer 0+ q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=8                                                           ; 31: layer 0+ q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=16                                                          ; 32: layer 0+ q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=32 sh=3 flags=1                                             ; 33: layer 0+ q_rotate
    STATQ a=R23+0x6c0 c=2 n=2 m=R24 k=4                                                              ; 34: layer 0+ q_scale
    QQ a=R23+0x6c0 b=2 c=2 n=2 m=R24 k=4 x=2                                                         ; 35: layer 0+ q_codes
    STATQ a=R23+0x740 c=6 n=2 m=R24 k=4                                                              ; 36: layer 0+ q_scale
    QQ a=R23+0x740 b=6 c=4 n=2 m=R24 k=4 x=2 sig=7                                                   ; 37: layer 0+ q_codes
    MATK a=R17+0x34b b=2 c=32 n=R9 m=2 aux=2 wait=7 pfw=3                                            ; 38: layer 0+ score head 0
    MATK a=R17+0x342 b=4 n=1 m=2 aux=6 sig=2                                                         ; 39: layer 0+ score head 0
    SOFTMAX a=R2 b=R3 c=6 n=R11 m=R21 k=0x7530 sh=27 x=4 aux=0x60002 flags=4 wait=2 sig=1            ; 40: layer 0+ softmax head 0
    MATV a=R17+0x354 b=6 c=0x8c0 n=R10 m=2 k=2 sh=1 x=4 aux=8 flags=4 wait=1 sig=2 pfw=4             ; 41: layer 0+ attn head 0
    ATTQ a=R21+0x8c0 b=R23+0x2 c=10 n=8 m=R22 k=0x61a8 sh=23 x=1 wait=2 sig=1                        ; 42: layer 0+ attn_out head 0
    MATW a=R16+0x6b b=10 c=928 n=32 m=1 k=1 x=1 aux=64 wait=1 sig=2                                  ; 43: layer 0+ o_proj
    RADD a=R21+0x2a0 b=R21+0x3a0 c=R21+0x2a0 n=64 wait=2                                             ; 44: layer 0+ attn_residual
    SUMSQ a=R21+0x2a0 n=64 aux=0x29f2                                                                ; 45: layer 0+ mlp_norm
    NORMQ a=R21+0x2a0 b=608 n=64 m=R22 sh=26 x=2 sig=5                                               ; 46: layer 0+ mlp_norm
    MATW a=R16+0x8d c=0x8e0 n=96 m=1 k=1 x=2 aux=192 wait=5                                          ; 47: layer 0+ gate_proj
    MATW a=R16+0xf3 c=0xa60 n=96 m=1 k=1 x=2 aux=192 sig=6                                           ; 48: layer 0+ up_proj
    LOAD a=R18+0x204 c=544 n=128                                                                     ; 49: load_norm
    SILU a=R21+0x8e0 b=R21+0xa60 c=11 n=192 m=R22 sh=11 x=1 wait=6 sig=5                             ; 50: layer 0+ silu
    MATW a=R16+0x159 b=11 c=928 n=32 m=1 k=1 x=1 aux=64 wait=5 sig=6                                 ; 51: layer 0+ down_proj
    RADD a=R21+0x2a0 b=R21+0x3a0 c=R21+0x2a0 n=64 wait=6                                             ; 52: layer 0+ mlp_residual
    ADD a=R16+0x17b x=16                                                                             ; 53: control
    ADD a=R17+0x14 x=17                                                                              ; 54: control
    ADD a=R18+0x4 x=18                                                                               ; 55: control
  ENDLOOP                                                                                            ; 56: control
ENDLOOP                                                                                              ; 57: control
LOOP a=562 n=R13                                                                                     ; 58: control
  LOAD a=726 n=32 flags=1                                                                            ; 59: load_ids
  LOAD a=728 c=32 n=512                                                                              ; 60: load_rope
  LOAD a=512 c=544 n=128                                                                             ; 61: load_norm
  LOOP a=67 n=R1                                                                                     ; 62: control
    EMBED a=524 b=R21 c=R22+0x2a0 n=64 k=2 sh=3 aux=101                                              ; 63: embed
    ADD a=R21+0x1 x=21                                                                               ; 64: control
    ADD a=R22+0x40 x=22                                                                              ; 65: control
  ENDLOOP                                                                                            ; 66: control
  ADD x=21                                                                                           ; 67: control
  ADD x=22                                                                                           ; 68: control
  LOOP a=74 n=R4                                                                                     ; 69: control
    EMBED a=524 b=R21+0x2 c=R22+0x320 n=64 k=2 sh=3 aux=101                                          ; 70: embed
    ADD a=R21+0x1 x=21                                                                               ; 71: control
    ADD a=R22+0x40 x=22                                                                              ; 72: control
  ENDLOOP                                                                                            ; 73: control
  ADD x=21                                                                                           ; 74: control
  ADD x=22                                                                                           ; 75: control
  LOOP a=79 n=R1                                                                                     ; 76: control
    ADD a=R25+0x2 x=25                                                                               ; 77: control
  ENDLOOP                                                                                            ; 78: control
  LOOP a=82 n=R4                                                                                     ; 79: control
    ADD a=R26+0x2 x=26                                                                               ; 80: control
  ENDLOOP                                                                                            ; 81: control
  ADD a=64 x=27                                                                                      ; 82: control
  LOOP a=86 n=R4                                                                                     ; 83: control
    ADD a=R27+0x40 x=27                                                                              ; 84: control
  ENDLOOP                                                                                            ; 85: control
  LOOP a=92 n=R1                                                                                     ; 86: control
    SUMSQ a=R21+0x2a0 n=64 aux=0x29f2                                                                ; 87: layer 0 attn_norm
    NORMQ a=R21+0x2a0 b=544 n=64 m=R22 sh=26 x=2                                                     ; 88: layer 0 attn_norm
    ADD a=R21+0x40 x=21                                                                              ; 89: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 90: layer 0 control
  ENDLOOP                                                                                            ; 91: layer 0 control
  ADD x=21                                                                                           ; 92: layer 0 control
  ADD x=22                                                                                           ; 93: layer 0 control
  RADD sig=1                                                                                         ; 94: layer 0 sync
  MATW c=0x4a0 n=32 m=R1 k=1 x=2 aux=64 wait=1 sig=2                                                 ; 95: layer 0 k_proj
  MATW a=34 c=0x5a0 n=4 m=R1 k=1 x=2 aux=8 sig=2                                                     ; 96: layer 0 v_proj
  MATW a=39 c=0x5c0 n=64 m=R1 k=1 x=2 aux=128 sig=2                                                  ; 97: layer 0 q_proj
  RADD wait=2                                                                                        ; 98: layer 0 sync
  ADD a=R2 x=19                                                                                      ; 99: layer 0 control
  ADD a=R3 x=20                                                                                      ; 100: layer 0 control
  LOOP a=114 n=R1                                                                                    ; 101: layer 0 control
    ROPE a=R21+0x4a0 b=R22+0x20 c=R21+0x520 n=1                                                      ; 102: layer 0 k_rope
    HADW a=R21+0x520 c=R21+0x520 n=64                                                                ; 103: layer 0 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=8                                                            ; 104: layer 0 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=16                                                           ; 105: layer 0 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=32 sh=4 flags=1                                              ; 106: layer 0 k_rotate
    STATK a=R21+0x520 c=1 n=1                                                                        ; 107: layer 0 k_scale
    QK a=R21+0x520 b=R20 c=834 n=1 m=R19 k=18 aux=1                                                  ; 108: layer 0 k_append
    ADD a=R21+0x40 x=21                                                                              ; 109: layer 0 control
    ADD a=R22+0x80 x=22                                                                              ; 110: layer 0 control
    ADD a=R19+0x1 x=19                                                                               ; 111: layer 0 control
    ADD a=R20+0x1 x=20                                                                               ; 112: layer 0 control
  ENDLOOP                                                                                            ; 113: layer 0 control
  ADD x=21                                                                                           ; 114: layer 0 control
  ADD x=22                                                                                           ; 115: layer 0 control
  RADD sig=3                                                                                         ; 116: layer 0 sync
  RADD wait=2                                                                                        ; 117: layer 0 sync
  ADD a=R2 x=19                                                                                      ; 118: layer 0 control
  ADD a=R3 x=20                                                                                      ; 119: layer 0 control
  LOOP a=126 n=R1                                                                                    ; 120: layer 0 control
    QV a=R21+0x5a0 b=R20 c=852 n=1 m=R19 k=2 sh=4 aux=2                                              ; 121: layer 0 v_append
    ADD a=R21+0x8 x=21                                                                               ; 122: layer 0 control
    ADD a=R19+0x1 x=19                                                                               ; 123: layer 0 control
    ADD a=R20+0x1 x=20                                                                               ; 124: layer 0 control
  ENDLOOP                                                                                            ; 125: layer 0 control
  ADD x=21                                                                                           ; 126: layer 0 control
  RADD sig=4                                                                                         ; 127: layer 0 sync
  RADD wait=2                                                                                        ; 128: layer 0 sync
  LOOP a=145 n=R1                                                                                    ; 129: layer 0 control
    ROPE a=R21+0x5c0 b=R22+0x20 c=R23+0x6c0 n=2                                                      ; 130: layer 0 q_rope
    ROPE a=R21+0x5c0 b=R22+0x60 c=R23+0x740 n=2                                                      ; 131: layer 0 q_rope
    HADW a=R23+0x6c0 c=R23+0x6c0 n=256                                                               ; 132: layer 0 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=8                                                           ; 133: layer 0 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=16                                                          ; 134: layer 0 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=32 sh=3 flags=1                                             ; 135: layer 0 q_rotate
    STATQ a=R23+0x6c0 c=2 n=2 m=R24 k=4                                                              ; 136: layer 0 q_scale
    QQ a=R23+0x6c0 b=2 c=2 n=2 m=R24 k=4 x=2                                                         ; 137: layer 0 q_codes
    STATQ a=R23+0x740 c=6 n=2 m=R24 k=4                                                              ; 138: layer 0 q_scale
    QQ a=R23+0x740 b=6 c=4 n=2 m=R24 k=4 x=2                                                         ; 139: layer 0 q_codes
    ADD a=R21+0x80 x=21                                                                              ; 140: layer 0 control
    ADD a=R22+0x80 x=22                                                                              ; 141: layer 0 control
    ADD a=R23+0x100 x=23                                                                             ; 142: layer 0 control
    ADD a=R24+0x1 x=24                                                                               ; 143: layer 0 control
  ENDLOOP                                                                                            ; 144: layer 0 control
  ADD x=21                                                                                           ; 145: layer 0 control
  ADD x=22                                                                                           ; 146: layer 0 control
  ADD x=23                                                                                           ; 147: layer 0 control
  ADD x=24                                                                                           ; 148: layer 0 control
  RADD sig=7                                                                                         ; 149: layer 0 sync
  MATK a=843 b=2 c=32 n=R9 m=R25 aux=2 wait=7 pfw=3                                                  ; 150: layer 0 score head 0
  MATK a=834 b=4 n=1 m=R25 aux=6 sig=2                                                               ; 151: layer 0 score head 0
  RADD wait=2                                                                                        ; 152: layer 0 sync
  ADD a=R2 x=19                                                                                      ; 153: layer 0 control
  ADD a=R3 x=20                                                                                      ; 154: layer 0 control
  LOOP a=161 n=R1                                                                                    ; 155: layer 0 control
    SOFTMAX a=R19 b=R20 c=6 n=R11 m=R21 k=0x7530 sh=27 x=4 aux=0x60002 flags=4                       ; 156: layer 0 softmax head 0
    ADD a=R21+0x2 x=21                                                                               ; 157: layer 0 control
    ADD a=R19+0x1 x=19                                                                               ; 158: layer 0 control
    ADD a=R20+0x1 x=20                                                                               ; 159: layer 0 control
  ENDLOOP                                                                                            ; 160: layer 0 control
  ADD x=21                                                                                           ; 161: layer 0 control
  RADD sig=1                                                                                         ; 162: layer 0 sync
  MATV a=852 b=6 c=0x8c0 n=R10 m=R25 k=2 sh=1 x=4 aux=8 flags=4 wait=1 sig=2 pfw=4                   ; 163: layer 0 attn head 0
  RADD wait=2                                                                                        ; 164: layer 0 sync
  LOOP a=171 n=R1                                                                                    ; 165: layer 0 control
    ATTQ a=R21+0x8c0 b=R23+0x2 c=10 n=8 m=R22 k=0x61a8 sh=23 x=1                                     ; 166: layer 0 attn_out head 0
    ADD a=R21+0x10 x=21                                                                              ; 167: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 168: layer 0 control
    ADD a=R23+0x2 x=23                                                                               ; 169: layer 0 control
  ENDLOOP                                                                                            ; 170: layer 0 control
  ADD x=21                                                                                           ; 171: layer 0 control
  ADD x=22                                                                                           ; 172: layer 0 control
  ADD x=23                                                                                           ; 173: layer 0 control
  RADD sig=1                                                                                         ; 174: layer 0 sync
  MATW a=107 b=10 c=928 n=32 m=R1 k=1 x=1 aux=64 wait=1 sig=2                                        ; 175: layer 0 o_proj
  LOOP a=182 n=R4                                                                                    ; 176: layer 0 control
    SUMSQ a=R21+0x320 n=64 aux=0x29f2                                                                ; 177: layer 0 attn_norm
    NORMQ a=R21+0x320 b=544 n=64 m=R22+0x2 sh=26 x=2                                                 ; 178: layer 0 attn_norm
    ADD a=R21+0x40 x=21                                                                              ; 179: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 180: layer 0 control
  ENDLOOP                                                                                            ; 181: layer 0 control
  ADD x=21                                                                                           ; 182: layer 0 control
  ADD x=22                                                                                           ; 183: layer 0 control
  RADD sig=1                                                                                         ; 184: layer 0 sync
  LOAD a=516 c=544 n=64                                                                              ; 185: load_norm
  MATW b=1 c=0x4a0 n=32 m=R4 k=1 x=2 aux=64 wait=1 sig=2                                             ; 186: layer 0 k_proj
  MATW a=34 b=1 c=0x5a0 n=4 m=R4 k=1 x=2 aux=8 sig=2                                                 ; 187: layer 0 v_proj
  MATW a=39 b=1 c=0x5c0 n=64 m=R4 k=1 x=2 aux=128 sig=2                                              ; 188: layer 0 q_proj
  RADD wait=2                                                                                        ; 189: layer 0 sync
  LOOP a=197 n=R1                                                                                    ; 190: layer 0 control
    RADD a=R21+0x2a0 b=R21+0x3a0 c=R21+0x2a0 n=64                                                    ; 191: layer 0 attn_residual
    SUMSQ a=R21+0x2a0 n=64 aux=0x29f2                                                                ; 192: layer 0 mlp_norm
    NORMQ a=R21+0x2a0 b=608 n=64 m=R22 sh=26 x=2                                                     ; 193: layer 0 mlp_norm
    ADD a=R21+0x40 x=21                                                                              ; 194: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 195: layer 0 control
  ENDLOOP                                                                                            ; 196: layer 0 control
  ADD x=21                                                                                           ; 197: layer 0 control
  ADD x=22                                                                                           ; 198: layer 0 control
  RADD sig=5                                                                                         ; 199: layer 0 sync
  MATW a=141 c=0x8e0 n=96 m=R1 k=1 x=2 aux=192 wait=5                                                ; 200: layer 0 gate_proj
  MATW a=243 c=0xa60 n=96 m=R1 k=1 x=2 aux=192 sig=6                                                 ; 201: layer 0 up_proj
  RADD wait=2                                                                                        ; 202: layer 0 sync
  ADD a=R5 x=19                                                                                      ; 203: layer 0 control
  ADD a=R6 x=20                                                                                      ; 204: layer 0 control
  LOOP a=218 n=R4                                                                                    ; 205: layer 0 control
    ROPE a=R21+0x4a0 b=R22+0x120 c=R21+0x520 n=1                                                     ; 206: layer 0 k_rope
    HADW a=R21+0x520 c=R21+0x520 n=64                                                                ; 207: layer 0 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=8                                                            ; 208: layer 0 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=16                                                           ; 209: layer 0 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=32 sh=4 flags=1                                              ; 210: layer 0 k_rotate
    STATK a=R21+0x520 c=1 n=1                                                                        ; 211: layer 0 k_scale
    QK a=R21+0x520 b=R20 c=834 n=1 m=R19 k=18 aux=1                                                  ; 212: layer 0 k_append
    ADD a=R21+0x40 x=21                                                                              ; 213: layer 0 control
    ADD a=R22+0x80 x=22                                                                              ; 214: layer 0 control
    ADD a=R19+0x1 x=19                                                                               ; 215: layer 0 control
    ADD a=R20+0x1 x=20                                                                               ; 216: layer 0 control
  ENDLOOP                                                                                            ; 217: layer 0 control
  ADD x=21                                                                                           ; 218: layer 0 control
  ADD x=22                                                                                           ; 219: layer 0 control
  RADD sig=3                                                                                         ; 220: layer 0 sync
  RADD wait=2                                                                                        ; 221: layer 0 sync
  ADD a=R5 x=19                                                                                      ; 222: layer 0 control
  ADD a=R6 x=20                                                                                      ; 223: layer 0 control
  LOOP a=230 n=R4                                                                                    ; 224: layer 0 control
    QV a=R21+0x5a0 b=R20 c=852 n=1 m=R19 k=2 sh=4 aux=2                                              ; 225: layer 0 v_append
    ADD a=R21+0x8 x=21                                                                               ; 226: layer 0 control
    ADD a=R19+0x1 x=19                                                                               ; 227: layer 0 control
    ADD a=R20+0x1 x=20                                                                               ; 228: layer 0 control
  ENDLOOP                                                                                            ; 229: layer 0 control
  ADD x=21                                                                                           ; 230: layer 0 control
  RADD sig=4                                                                                         ; 231: layer 0 sync
  RADD wait=2                                                                                        ; 232: layer 0 sync
  LOOP a=249 n=R4                                                                                    ; 233: layer 0 control
    ROPE a=R21+0x5c0 b=R22+0x120 c=R23+0x6c0 n=2                                                     ; 234: layer 0 q_rope
    ROPE a=R21+0x5c0 b=R22+0x160 c=R23+0x740 n=2                                                     ; 235: layer 0 q_rope
    HADW a=R23+0x6c0 c=R23+0x6c0 n=256                                                               ; 236: layer 0 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=8                                                           ; 237: layer 0 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=16                                                          ; 238: layer 0 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=32 sh=3 flags=1                                             ; 239: layer 0 q_rotate
    STATQ a=R23+0x6c0 c=2 n=2 m=R24 k=4                                                              ; 240: layer 0 q_scale
    QQ a=R23+0x6c0 b=2 c=2 n=2 m=R24 k=4 x=2                                                         ; 241: layer 0 q_codes
    STATQ a=R23+0x740 c=6 n=2 m=R24 k=4                                                              ; 242: layer 0 q_scale
    QQ a=R23+0x740 b=6 c=4 n=2 m=R24 k=4 x=2                                                         ; 243: layer 0 q_codes
    ADD a=R21+0x80 x=21                                                                              ; 244: layer 0 control
    ADD a=R22+0x80 x=22                                                                              ; 245: layer 0 control
    ADD a=R23+0x100 x=23                                                                             ; 246: layer 0 control
    ADD a=R24+0x1 x=24                                                                               ; 247: layer 0 control
  ENDLOOP                                                                                            ; 248: layer 0 control
  ADD x=21                                                                                           ; 249: layer 0 control
  ADD x=22                                                                                           ; 250: layer 0 control
  ADD x=23                                                                                           ; 251: layer 0 control
  ADD x=24                                                                                           ; 252: layer 0 control
  RADD sig=7                                                                                         ; 253: layer 0 sync
  RADD wait=6                                                                                        ; 254: layer 0 sync
  LOOP a=260 n=R1                                                                                    ; 255: layer 0 control
    SILU a=R21+0x8e0 b=R21+0xa60 c=11 n=192 m=R22 sh=11 x=1                                          ; 256: layer 0 silu
    ADD a=R21+0xc0 x=21                                                                              ; 257: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 258: layer 0 control
  ENDLOOP                                                                                            ; 259: layer 0 control
  ADD x=21                                                                                           ; 260: layer 0 control
  ADD x=22                                                                                           ; 261: layer 0 control
  RADD sig=5                                                                                         ; 262: layer 0 sync
  MATK a=843 b=2 c=32 n=R9 m=R26 aux=2 wait=7 pfw=3                                                  ; 263: layer 0 score head 0
  MATK a=834 b=4 n=1 m=R26 aux=6 sig=2                                                               ; 264: layer 0 score head 0
  RADD wait=2                                                                                        ; 265: layer 0 sync
  ADD a=R5 x=19                                                                                      ; 266: layer 0 control
  ADD a=R6 x=20                                                                                      ; 267: layer 0 control
  LOOP a=274 n=R4                                                                                    ; 268: layer 0 control
    SOFTMAX a=R19 b=R20 c=6 n=R11 m=R21 k=0x7530 sh=27 x=4 aux=0x60002 flags=4                       ; 269: layer 0 softmax head 0
    ADD a=R21+0x2 x=21                                                                               ; 270: layer 0 control
    ADD a=R19+0x1 x=19                                                                               ; 271: layer 0 control
    ADD a=R20+0x1 x=20                                                                               ; 272: layer 0 control
  ENDLOOP                                                                                            ; 273: layer 0 control
  ADD x=21                                                                                           ; 274: layer 0 control
  RADD sig=1                                                                                         ; 275: layer 0 sync
  MATV a=852 b=6 c=0x8c0 n=R10 m=R26 k=2 sh=1 x=4 aux=8 flags=4 wait=1 sig=2 pfw=4                   ; 276: layer 0 attn head 0
  MATW a=345 b=11 c=928 n=32 m=R1 k=1 x=1 aux=64 wait=5 sig=6                                        ; 277: layer 0 down_proj
  RADD wait=2                                                                                        ; 278: layer 0 sync
  LOOP a=285 n=R4                                                                                    ; 279: layer 0 control
    ATTQ a=R21+0x8c0 b=R23+0x2 c=10 n=8 m=R22 k=0x61a8 sh=23 x=1                                     ; 280: layer 0 attn_out head 0
    ADD a=R21+0x10 x=21                                                                              ; 281: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 282: layer 0 control
    ADD a=R23+0x2 x=23                                                                               ; 283: layer 0 control
  ENDLOOP                                                                                            ; 284: layer 0 control
  ADD x=21                                                                                           ; 285: layer 0 control
  ADD x=22                                                                                           ; 286: layer 0 control
  ADD x=23                                                                                           ; 287: layer 0 control
  RADD sig=1                                                                                         ; 288: layer 0 sync
  MATW a=107 b=10 c=0x420 n=32 m=R4 k=1 x=1 aux=64 wait=1 sig=2                                      ; 289: layer 0 o_proj
  RADD wait=6                                                                                        ; 290: layer 0 sync
  LOOP a=298 n=R1                                                                                    ; 291: layer 0 control
    RADD a=R21+0x2a0 b=R21+0x3a0 c=R21+0x2a0 n=64                                                    ; 292: layer 0 mlp_residual
    SUMSQ a=R21+0x2a0 n=64 aux=0x29f2                                                                ; 293: layer 1 attn_norm
    NORMQ a=R21+0x2a0 b=544 n=64 m=R22 sh=26 x=2                                                     ; 294: layer 1 attn_norm
    ADD a=R21+0x40 x=21                                                                              ; 295: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 296: layer 1 control
  ENDLOOP                                                                                            ; 297: layer 1 control
  ADD x=21                                                                                           ; 298: layer 1 control
  ADD x=22                                                                                           ; 299: layer 1 control
  RADD sig=1                                                                                         ; 300: layer 1 sync
  MATW a=379 c=0x4a0 n=32 m=R1 k=1 x=2 aux=64 wait=1 sig=2                                           ; 301: layer 1 k_proj
  MATW a=413 c=0x5a0 n=4 m=R1 k=1 x=2 aux=8 sig=2                                                    ; 302: layer 1 v_proj
  MATW a=418 c=0x5c0 n=64 m=R1 k=1 x=2 aux=128 sig=2                                                 ; 303: layer 1 q_proj
  RADD wait=2                                                                                        ; 304: layer 0 sync
  LOOP a=312 n=R4                                                                                    ; 305: layer 0 control
    RADD a=R21+0x320 b=R21+0x420 c=R21+0x320 n=64                                                    ; 306: layer 0 attn_residual
    SUMSQ a=R21+0x320 n=64 aux=0x29f2                                                                ; 307: layer 0 mlp_norm
    NORMQ a=R21+0x320 b=608 n=64 m=R22+0x2 sh=26 x=2                                                 ; 308: layer 0 mlp_norm
    ADD a=R21+0x40 x=21                                                                              ; 309: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 310: layer 0 control
  ENDLOOP                                                                                            ; 311: layer 0 control
  ADD x=21                                                                                           ; 312: layer 0 control
  ADD x=22                                                                                           ; 313: layer 0 control
  RADD sig=5                                                                                         ; 314: layer 0 sync
  LOAD a=518 c=608 n=64                                                                              ; 315: load_norm
  MATW a=141 b=1 c=0x8e0 n=96 m=R4 k=1 x=2 aux=192 wait=5                                            ; 316: layer 0 gate_proj
  MATW a=243 b=1 c=0xa60 n=96 m=R4 k=1 x=2 aux=192 sig=6                                             ; 317: layer 0 up_proj
  RADD wait=2                                                                                        ; 318: layer 1 sync
  ADD a=R2 x=19                                                                                      ; 319: layer 1 control
  ADD a=R3 x=20                                                                                      ; 320: layer 1 control
  LOOP a=334 n=R1                                                                                    ; 321: layer 1 control
    ROPE a=R21+0x4a0 b=R22+0x20 c=R21+0x520 n=1                                                      ; 322: layer 1 k_rope
    HADW a=R21+0x520 c=R21+0x520 n=64                                                                ; 323: layer 1 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=8                                                            ; 324: layer 1 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=16                                                           ; 325: layer 1 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=32 sh=4 flags=1                                              ; 326: layer 1 k_rotate
    STATK a=R21+0x520 c=1 n=1                                                                        ; 327: layer 1 k_scale
    QK a=R21+0x520 b=R20 c=854 n=1 m=R19 k=18 aux=1                                                  ; 328: layer 1 k_append
    ADD a=R21+0x40 x=21                                                                              ; 329: layer 1 control
    ADD a=R22+0x80 x=22                                                                              ; 330: layer 1 control
    ADD a=R19+0x1 x=19                                                                               ; 331: layer 1 control
    ADD a=R20+0x1 x=20                                                                               ; 332: layer 1 control
  ENDLOOP                                                                                            ; 333: layer 1 control
  ADD x=21                                                                                           ; 334: layer 1 control
  ADD x=22                                                                                           ; 335: layer 1 control
  RADD sig=3                                                                                         ; 336: layer 1 sync
  RADD wait=2                                                                                        ; 337: layer 1 sync
  ADD a=R2 x=19                                                                                      ; 338: layer 1 control
  ADD a=R3 x=20                                                                                      ; 339: layer 1 control
  LOOP a=346 n=R1                                                                                    ; 340: layer 1 control
    QV a=R21+0x5a0 b=R20 c=872 n=1 m=R19 k=2 sh=4 aux=2                                              ; 341: layer 1 v_append
    ADD a=R21+0x8 x=21                                                                               ; 342: layer 1 control
    ADD a=R19+0x1 x=19                                                                               ; 343: layer 1 control
    ADD a=R20+0x1 x=20                                                                               ; 344: layer 1 control
  ENDLOOP                                                                                            ; 345: layer 1 control
  ADD x=21                                                                                           ; 346: layer 1 control
  RADD sig=4                                                                                         ; 347: layer 1 sync
  RADD wait=2                                                                                        ; 348: layer 1 sync
  LOOP a=365 n=R1                                                                                    ; 349: layer 1 control
    ROPE a=R21+0x5c0 b=R22+0x20 c=R23+0x6c0 n=2                                                      ; 350: layer 1 q_rope
    ROPE a=R21+0x5c0 b=R22+0x60 c=R23+0x740 n=2                                                      ; 351: layer 1 q_rope
    HADW a=R23+0x6c0 c=R23+0x6c0 n=256                                                               ; 352: layer 1 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=8                                                           ; 353: layer 1 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=16                                                          ; 354: layer 1 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=32 sh=3 flags=1                                             ; 355: layer 1 q_rotate
    STATQ a=R23+0x6c0 c=2 n=2 m=R24 k=4                                                              ; 356: layer 1 q_scale
    QQ a=R23+0x6c0 b=2 c=2 n=2 m=R24 k=4 x=2                                                         ; 357: layer 1 q_codes
    STATQ a=R23+0x740 c=6 n=2 m=R24 k=4                                                              ; 358: layer 1 q_scale
    QQ a=R23+0x740 b=6 c=4 n=2 m=R24 k=4 x=2                                                         ; 359: layer 1 q_codes
    ADD a=R21+0x80 x=21                                                                              ; 360: layer 1 control
    ADD a=R22+0x80 x=22                                                                              ; 361: layer 1 control
    ADD a=R23+0x100 x=23                                                                             ; 362: layer 1 control
    ADD a=R24+0x1 x=24                                                                               ; 363: layer 1 control
  ENDLOOP                                                                                            ; 364: layer 1 control
  ADD x=21                                                                                           ; 365: layer 1 control
  ADD x=22                                                                                           ; 366: layer 1 control
  ADD x=23                                                                                           ; 367: layer 1 control
  ADD x=24                                                                                           ; 368: layer 1 control
  RADD sig=7                                                                                         ; 369: layer 1 sync
  RADD wait=6                                                                                        ; 370: layer 0 sync
  LOOP a=376 n=R4                                                                                    ; 371: layer 0 control
    SILU a=R21+0x8e0 b=R21+0xa60 c=11 n=192 m=R22 sh=11 x=1                                          ; 372: layer 0 silu
    ADD a=R21+0xc0 x=21                                                                              ; 373: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 374: layer 0 control
  ENDLOOP                                                                                            ; 375: layer 0 control
  ADD x=21                                                                                           ; 376: layer 0 control
  ADD x=22                                                                                           ; 377: layer 0 control
  RADD sig=5                                                                                         ; 378: layer 0 sync
  MATK a=863 b=2 c=32 n=R9 m=R25 aux=2 wait=7 pfw=3                                                  ; 379: layer 1 score head 0
  MATK a=854 b=4 n=1 m=R25 aux=6 sig=2                                                               ; 380: layer 1 score head 0
  RADD wait=2                                                                                        ; 381: layer 1 sync
  ADD a=R2 x=19                                                                                      ; 382: layer 1 control
  ADD a=R3 x=20                                                                                      ; 383: layer 1 control
  LOOP a=390 n=R1                                                                                    ; 384: layer 1 control
    SOFTMAX a=R19 b=R20 c=6 n=R11 m=R21 k=0x7530 sh=27 x=4 aux=0x60002 flags=4                       ; 385: layer 1 softmax head 0
    ADD a=R21+0x2 x=21                                                                               ; 386: layer 1 control
    ADD a=R19+0x1 x=19                                                                               ; 387: layer 1 control
    ADD a=R20+0x1 x=20                                                                               ; 388: layer 1 control
  ENDLOOP                                                                                            ; 389: layer 1 control
  ADD x=21                                                                                           ; 390: layer 1 control
  RADD sig=1                                                                                         ; 391: layer 1 sync
  MATV a=872 b=6 c=0x8c0 n=R10 m=R25 k=2 sh=1 x=4 aux=8 flags=4 wait=1 sig=2 pfw=4                   ; 392: layer 1 attn head 0
  MATW a=345 b=11 c=0x420 n=32 m=R4 k=1 x=1 aux=64 wait=5 sig=6                                      ; 393: layer 0 down_proj
  RADD wait=2                                                                                        ; 394: layer 1 sync
  LOOP a=401 n=R1                                                                                    ; 395: layer 1 control
    ATTQ a=R21+0x8c0 b=R23+0x2 c=10 n=8 m=R22 k=0x61a8 sh=23 x=1                                     ; 396: layer 1 attn_out head 0
    ADD a=R21+0x10 x=21                                                                              ; 397: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 398: layer 1 control
    ADD a=R23+0x2 x=23                                                                               ; 399: layer 1 control
  ENDLOOP                                                                                            ; 400: layer 1 control
  ADD x=21                                                                                           ; 401: layer 1 control
  ADD x=22                                                                                           ; 402: layer 1 control
  ADD x=23                                                                                           ; 403: layer 1 control
  RADD sig=1                                                                                         ; 404: layer 1 sync
  MATW a=486 b=10 c=928 n=32 m=R1 k=1 x=1 aux=64 wait=1 sig=2                                        ; 405: layer 1 o_proj
  RADD wait=6                                                                                        ; 406: layer 0 sync
  LOOP a=414 n=R4                                                                                    ; 407: layer 0 control
    RADD a=R21+0x320 b=R21+0x420 c=R21+0x320 n=64                                                    ; 408: layer 0 mlp_residual
    SUMSQ a=R21+0x320 n=64 aux=0x29f2                                                                ; 409: layer 1 attn_norm
    NORMQ a=R21+0x320 b=544 n=64 m=R22+0x2 sh=26 x=2                                                 ; 410: layer 1 attn_norm
    ADD a=R21+0x40 x=21                                                                              ; 411: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 412: layer 1 control
  ENDLOOP                                                                                            ; 413: layer 1 control
  ADD x=21                                                                                           ; 414: layer 1 control
  ADD x=22                                                                                           ; 415: layer 1 control
  RADD sig=1                                                                                         ; 416: layer 1 sync
  LOAD a=520 c=544 n=64                                                                              ; 417: load_norm
  MATW a=379 b=1 c=0x4a0 n=32 m=R4 k=1 x=2 aux=64 wait=1 sig=2                                       ; 418: layer 1 k_proj
  MATW a=413 b=1 c=0x5a0 n=4 m=R4 k=1 x=2 aux=8 sig=2                                                ; 419: layer 1 v_proj
  MATW a=418 b=1 c=0x5c0 n=64 m=R4 k=1 x=2 aux=128 sig=2                                             ; 420: layer 1 q_proj
  RADD wait=2                                                                                        ; 421: layer 1 sync
  LOOP a=429 n=R1                                                                                    ; 422: layer 1 control
    RADD a=R21+0x2a0 b=R21+0x3a0 c=R21+0x2a0 n=64                                                    ; 423: layer 1 attn_residual
    SUMSQ a=R21+0x2a0 n=64 aux=0x29f2                                                                ; 424: layer 1 mlp_norm
    NORMQ a=R21+0x2a0 b=608 n=64 m=R22 sh=26 x=2                                                     ; 425: layer 1 mlp_norm
    ADD a=R21+0x40 x=21                                                                              ; 426: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 427: layer 1 control
  ENDLOOP                                                                                            ; 428: layer 1 control
  ADD x=21                                                                                           ; 429: layer 1 control
  ADD x=22                                                                                           ; 430: layer 1 control
  RADD sig=5                                                                                         ; 431: layer 1 sync
  MATW a=520 c=0x8e0 n=96 m=R1 k=1 x=2 aux=192 wait=5                                                ; 432: layer 1 gate_proj
  MATW a=622 c=0xa60 n=96 m=R1 k=1 x=2 aux=192 sig=6                                                 ; 433: layer 1 up_proj
  RADD wait=2                                                                                        ; 434: layer 1 sync
  ADD a=R5 x=19                                                                                      ; 435: layer 1 control
  ADD a=R6 x=20                                                                                      ; 436: layer 1 control
  LOOP a=450 n=R4                                                                                    ; 437: layer 1 control
    ROPE a=R21+0x4a0 b=R22+0x120 c=R21+0x520 n=1                                                     ; 438: layer 1 k_rope
    HADW a=R21+0x520 c=R21+0x520 n=64                                                                ; 439: layer 1 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=8                                                            ; 440: layer 1 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=16                                                           ; 441: layer 1 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=32 sh=4 flags=1                                              ; 442: layer 1 k_rotate
    STATK a=R21+0x520 c=1 n=1                                                                        ; 443: layer 1 k_scale
    QK a=R21+0x520 b=R20 c=854 n=1 m=R19 k=18 aux=1                                                  ; 444: layer 1 k_append
    ADD a=R21+0x40 x=21                                                                              ; 445: layer 1 control
    ADD a=R22+0x80 x=22                                                                              ; 446: layer 1 control
    ADD a=R19+0x1 x=19                                                                               ; 447: layer 1 control
    ADD a=R20+0x1 x=20                                                                               ; 448: layer 1 control
  ENDLOOP                                                                                            ; 449: layer 1 control
  ADD x=21                                                                                           ; 450: layer 1 control
  ADD x=22                                                                                           ; 451: layer 1 control
  RADD sig=3                                                                                         ; 452: layer 1 sync
  RADD wait=2                                                                                        ; 453: layer 1 sync
  ADD a=R5 x=19                                                                                      ; 454: layer 1 control
  ADD a=R6 x=20                                                                                      ; 455: layer 1 control
  LOOP a=462 n=R4                                                                                    ; 456: layer 1 control
    QV a=R21+0x5a0 b=R20 c=872 n=1 m=R19 k=2 sh=4 aux=2                                              ; 457: layer 1 v_append
    ADD a=R21+0x8 x=21                                                                               ; 458: layer 1 control
    ADD a=R19+0x1 x=19                                                                               ; 459: layer 1 control
    ADD a=R20+0x1 x=20                                                                               ; 460: layer 1 control
  ENDLOOP                                                                                            ; 461: layer 1 control
  ADD x=21                                                                                           ; 462: layer 1 control
  RADD sig=4                                                                                         ; 463: layer 1 sync
  RADD wait=2                                                                                        ; 464: layer 1 sync
  LOOP a=481 n=R4                                                                                    ; 465: layer 1 control
    ROPE a=R21+0x5c0 b=R22+0x120 c=R23+0x6c0 n=2                                                     ; 466: layer 1 q_rope
    ROPE a=R21+0x5c0 b=R22+0x160 c=R23+0x740 n=2                                                     ; 467: layer 1 q_rope
    HADW a=R23+0x6c0 c=R23+0x6c0 n=256                                                               ; 468: layer 1 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=8                                                           ; 469: layer 1 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=16                                                          ; 470: layer 1 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=32 sh=3 flags=1                                             ; 471: layer 1 q_rotate
    STATQ a=R23+0x6c0 c=2 n=2 m=R24 k=4                                                              ; 472: layer 1 q_scale
    QQ a=R23+0x6c0 b=2 c=2 n=2 m=R24 k=4 x=2                                                         ; 473: layer 1 q_codes
    STATQ a=R23+0x740 c=6 n=2 m=R24 k=4                                                              ; 474: layer 1 q_scale
    QQ a=R23+0x740 b=6 c=4 n=2 m=R24 k=4 x=2                                                         ; 475: layer 1 q_codes
    ADD a=R21+0x80 x=21                                                                              ; 476: layer 1 control
    ADD a=R22+0x80 x=22                                                                              ; 477: layer 1 control
    ADD a=R23+0x100 x=23                                                                             ; 478: layer 1 control
    ADD a=R24+0x1 x=24                                                                               ; 479: layer 1 control
  ENDLOOP                                                                                            ; 480: layer 1 control
  ADD x=21                                                                                           ; 481: layer 1 control
  ADD x=22                                                                                           ; 482: layer 1 control
  ADD x=23                                                                                           ; 483: layer 1 control
  ADD x=24                                                                                           ; 484: layer 1 control
  RADD sig=7                                                                                         ; 485: layer 1 sync
  RADD wait=6                                                                                        ; 486: layer 1 sync
  LOOP a=492 n=R1                                                                                    ; 487: layer 1 control
    SILU a=R21+0x8e0 b=R21+0xa60 c=11 n=192 m=R22 sh=11 x=1                                          ; 488: layer 1 silu
    ADD a=R21+0xc0 x=21                                                                              ; 489: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 490: layer 1 control
  ENDLOOP                                                                                            ; 491: layer 1 control
  ADD x=21                                                                                           ; 492: layer 1 control
  ADD x=22                                                                                           ; 493: layer 1 control
  RADD sig=5                                                                                         ; 494: layer 1 sync
  MATK a=863 b=2 c=32 n=R9 m=R26 aux=2 wait=7 pfw=3                                                  ; 495: layer 1 score head 0
  MATK a=854 b=4 n=1 m=R26 aux=6 sig=2                                                               ; 496: layer 1 score head 0
  RADD wait=2                                                                                        ; 497: layer 1 sync
  ADD a=R5 x=19                                                                                      ; 498: layer 1 control
  ADD a=R6 x=20                                                                                      ; 499: layer 1 control
  LOOP a=506 n=R4                                                                                    ; 500: layer 1 control
    SOFTMAX a=R19 b=R20 c=6 n=R11 m=R21 k=0x7530 sh=27 x=4 aux=0x60002 flags=4                       ; 501: layer 1 softmax head 0
    ADD a=R21+0x2 x=21                                                                               ; 502: layer 1 control
    ADD a=R19+0x1 x=19                                                                               ; 503: layer 1 control
    ADD a=R20+0x1 x=20                                                                               ; 504: layer 1 control
  ENDLOOP                                                                                            ; 505: layer 1 control
  ADD x=21                                                                                           ; 506: layer 1 control
  RADD sig=1                                                                                         ; 507: layer 1 sync
  MATV a=872 b=6 c=0x8c0 n=R10 m=R26 k=2 sh=1 x=4 aux=8 flags=4 wait=1 sig=2 pfw=4                   ; 508: layer 1 attn head 0
  MATW a=724 b=11 c=928 n=32 m=R1 k=1 x=1 aux=64 wait=5 sig=6                                        ; 509: layer 1 down_proj
  RADD wait=2                                                                                        ; 510: layer 1 sync
  LOOP a=517 n=R4                                                                                    ; 511: layer 1 control
    ATTQ a=R21+0x8c0 b=R23+0x2 c=10 n=8 m=R22 k=0x61a8 sh=23 x=1                                     ; 512: layer 1 attn_out head 0
    ADD a=R21+0x10 x=21                                                                              ; 513: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 514: layer 1 control
    ADD a=R23+0x2 x=23                                                                               ; 515: layer 1 control
  ENDLOOP                                                                                            ; 516: layer 1 control
  ADD x=21                                                                                           ; 517: layer 1 control
  ADD x=22                                                                                           ; 518: layer 1 control
  ADD x=23                                                                                           ; 519: layer 1 control
  RADD sig=1                                                                                         ; 520: layer 1 sync
  MATW a=486 b=10 c=0x420 n=32 m=R4 k=1 x=1 aux=64 wait=1 sig=2                                      ; 521: layer 1 o_proj
  RADD wait=6                                                                                        ; 522: layer 1 sync
  LOOP a=528 n=R1                                                                                    ; 523: layer 1 control
    RADD a=R21+0x2a0 b=R21+0x3a0 c=R21+0x2a0 n=64                                                    ; 524: layer 1 mlp_residual
    ADD a=R21+0x40 x=21                                                                              ; 525: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 526: layer 1 control
  ENDLOOP                                                                                            ; 527: layer 1 control
  ADD x=21                                                                                           ; 528: layer 1 control
  ADD x=22                                                                                           ; 529: layer 1 control
  RADD wait=2                                                                                        ; 530: layer 1 sync
  LOOP a=538 n=R4                                                                                    ; 531: layer 1 control
    RADD a=R21+0x320 b=R21+0x420 c=R21+0x320 n=64                                                    ; 532: layer 1 attn_residual
    SUMSQ a=R21+0x320 n=64 aux=0x29f2                                                                ; 533: layer 1 mlp_norm
    NORMQ a=R21+0x320 b=608 n=64 m=R22+0x2 sh=26 x=2                                                 ; 534: layer 1 mlp_norm
    ADD a=R21+0x40 x=21                                                                              ; 535: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 536: layer 1 control
  ENDLOOP                                                                                            ; 537: layer 1 control
  ADD x=21                                                                                           ; 538: layer 1 control
  ADD x=22                                                                                           ; 539: layer 1 control
  RADD sig=5                                                                                         ; 540: layer 1 sync
  MATW a=520 b=1 c=0x8e0 n=96 m=R4 k=1 x=2 aux=192 wait=5                                            ; 541: layer 1 gate_proj
  MATW a=622 b=1 c=0xa60 n=96 m=R4 k=1 x=2 aux=192 sig=6                                             ; 542: layer 1 up_proj
  RADD wait=6                                                                                        ; 543: layer 1 sync
  LOOP a=549 n=R4                                                                                    ; 544: layer 1 control
    SILU a=R21+0x8e0 b=R21+0xa60 c=11 n=192 m=R22 sh=11 x=1                                          ; 545: layer 1 silu
    ADD a=R21+0xc0 x=21                                                                              ; 546: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 547: layer 1 control
  ENDLOOP                                                                                            ; 548: layer 1 control
  ADD x=21                                                                                           ; 549: layer 1 control
  ADD x=22                                                                                           ; 550: layer 1 control
  RADD sig=5                                                                                         ; 551: layer 1 sync
  MATW a=724 b=11 c=0x420 n=32 m=R4 k=1 x=1 aux=64 wait=5 sig=6                                      ; 552: layer 1 down_proj
  RADD wait=6                                                                                        ; 553: layer 1 sync
  LOOP a=559 n=R4                                                                                    ; 554: layer 1 control
    RADD a=R21+0x320 b=R21+0x420 c=R21+0x320 n=64                                                    ; 555: layer 1 mlp_residual
    ADD a=R21+0x40 x=21                                                                              ; 556: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 557: layer 1 control
  ENDLOOP                                                                                            ; 558: layer 1 control
  ADD x=21                                                                                           ; 559: layer 1 control
  ADD x=22                                                                                           ; 560: layer 1 control
ENDLOOP                                                                                              ; 561: layer 1 control
LOOP a=569 n=R15                                                                                     ; 562: control
  SUMSQ a=R27+0x2a0 n=64 aux=0x29f2                                                                  ; 563: final_norm
  NORMQ a=R27+0x2a0 b=544 n=64 sh=26 x=2 sig=1                                                       ; 564: final_norm
  MATW a=758 c=0x4a0 n=64 m=1 k=1 x=2 aux=128 flags=2 wait=1 sig=2                                   ; 565: head
  ARGMAX a=0x4a0 n=101 flags=1 wait=2                                                                ; 566: argmax
  STORE a=R21+0x4a0 c=R22+0x2e8 n=128                                                                ; 567: store_logits
ENDLOOP                                                                                              ; 568: control
END                                                                                                  ; 569: control

SETC a=64                                                                                            ; 0: control
SETC a=4 x=1                                                                                         ; 1: control
SETC a=24 x=2                                                                                        ; 2: control
SETC a=32 x=3                                                                                        ; 3: control
SETC a=32 x=4                                                                                        ; 4: control
SETC a=2 x=5                                                                                         ; 5: control
SETC a=64 x=6                                                                                        ; 6: control
SETC a=9 x=7                                                                                         ; 7: control
SETC a=8 x=8                                                                                         ; 8: control
LOOP a=59 n=R12                                                                                      ; 9: control
  LOAD a=726 n=32 flags=1                                                                            ; 10: load_ids
  LOAD a=728 c=32 n=128                                                                              ; 11: load_rope
  LOAD a=512 c=544 n=128                                                                             ; 12: load_norm
  EMBED a=524 b=R21 c=R22+0x2a0 n=64 k=2 sh=3 aux=101                                                ; 13: embed
  ADD a=R7 x=17                                                                                      ; 14: control
  LOOP a=58 n=2                                                                                      ; 15: control
    SUMSQ a=R21+0x2a0 n=64 aux=0x29f2                                                                ; 16: layer 0+ attn_norm
    NORMQ a=R21+0x2a0 b=544 n=64 m=R22 sh=26 x=2 sig=1                                               ; 17: layer 0+ attn_norm
    MATW a=R16 c=0x4a0 n=32 m=1 k=1 x=2 aux=64 wait=1 sig=2                                          ; 18: layer 0+ k_proj
    MATW a=R16+0x22 c=0x5a0 n=4 m=1 k=1 x=2 aux=8 sig=2                                              ; 19: layer 0+ v_proj
    MATW a=R16+0x27 c=0x5c0 n=64 m=1 k=1 x=2 aux=128 sig=2                                           ; 20: layer 0+ q_proj
    ROPE a=R21+0x4a0 b=R22+0x20 c=R21+0x520 n=1 wait=2                                               ; 21: layer 0+ k_rope
    HADW a=R21+0x520 c=R21+0x520 n=64                                                                ; 22: layer 0+ k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=8                                                            ; 23: layer 0+ k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=16                                                           ; 24: layer 0+ k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=32 sh=4 flags=1                                              ; 25: layer 0+ k_rotate
    STATK a=R21+0x520 c=1 n=1                                                                        ; 26: layer 0+ k_scale
    QK a=R21+0x520 b=R3 c=R17+0x342 n=1 m=R2 k=18 aux=1 sig=3                                        ; 27: layer 0+ k_append
    QV a=R21+0x5a0 b=R3 c=R17+0x354 n=1 m=R2 k=2 sh=4 aux=2 wait=2 sig=4                             ; 28: layer 0+ v_append
    ROPE a=R21+0x5c0 b=R22+0x20 c=R23+0x6c0 n=2 wait=2                                               ; 29: layer 0+ q_rope
    ROPE a=R21+0x5c0 b=R22+0x60 c=R23+0x740 n=2                                                      ; 30: layer 0+ q_rope
    HADW a=R23+0x6c0 c=R23+0x6c0 n=256                                                               ; 31: layer 0+ q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=8                                                           ; 32: layer 0+ q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=16                                                          ; 33: layer 0+ q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=32 sh=3 flags=1                                             ; 34: layer 0+ q_rotate
    STATQ a=R23+0x6c0 c=2 n=2 m=R24 k=4                                                              ; 35: layer 0+ q_scale
    QQ a=R23+0x6c0 b=2 c=2 n=2 m=R24 k=4 x=2                                                         ; 36: layer 0+ q_codes
    STATQ a=R23+0x740 c=6 n=2 m=R24 k=4                                                              ; 37: layer 0+ q_scale
    QQ a=R23+0x740 b=6 c=4 n=2 m=R24 k=4 x=2 sig=7                                                   ; 38: layer 0+ q_codes
    MATK a=R17+0x34b b=2 c=32 n=R9 m=2 aux=2 wait=7 pfw=3                                            ; 39: layer 0+ score head 0
    MATK a=R17+0x342 b=4 n=1 m=2 aux=6 sig=2                                                         ; 40: layer 0+ score head 0
    SOFTMAX a=R2 b=R3 c=6 n=R11 m=R21 k=0x7530 sh=27 x=4 aux=0x60002 flags=4 wait=2 sig=1            ; 41: layer 0+ softmax head 0
    MATV a=R17+0x354 b=6 c=0x8c0 n=R10 m=2 k=2 sh=1 x=4 aux=8 flags=4 wait=1 sig=2 pfw=4             ; 42: layer 0+ attn head 0
    ATTQ a=R21+0x8c0 b=R23+0x2 c=10 n=8 m=R22 k=0x61a8 sh=23 x=1 wait=2 sig=1                        ; 43: layer 0+ attn_out head 0
    MATW a=R16+0x6b b=10 c=928 n=32 m=1 k=1 x=1 aux=64 wait=1 sig=2                                  ; 44: layer 0+ o_proj
    RADD a=R21+0x2a0 b=R21+0x3a0 c=R21+0x2a0 n=64 wait=2                                             ; 45: layer 0+ attn_residual
    SUMSQ a=R21+0x2a0 n=64 aux=0x29f2                                                                ; 46: layer 0+ mlp_norm
    NORMQ a=R21+0x2a0 b=608 n=64 m=R22 sh=26 x=2 sig=5                                               ; 47: layer 0+ mlp_norm
    MATW a=R16+0x8d c=0x8e0 n=96 m=1 k=1 x=2 aux=192 wait=5                                          ; 48: layer 0+ gate_proj
    MATW a=R16+0xf3 c=0xa60 n=96 m=1 k=1 x=2 aux=192 sig=6                                           ; 49: layer 0+ up_proj
    LOAD a=R18+0x204 c=544 n=128                                                                     ; 50: load_norm
    SILU a=R21+0x8e0 b=R21+0xa60 c=11 n=192 m=R22 sh=11 x=1 wait=6 sig=5                             ; 51: layer 0+ silu
    MATW a=R16+0x159 b=11 c=928 n=32 m=1 k=1 x=1 aux=64 wait=5 sig=6                                 ; 52: layer 0+ down_proj
    RADD a=R21+0x2a0 b=R21+0x3a0 c=R21+0x2a0 n=64 wait=6                                             ; 53: layer 0+ mlp_residual
    ADD a=R16+0x17b x=16                                                                             ; 54: control
    ADD a=R17+0x14 x=17                                                                              ; 55: control
    ADD a=R18+0x4 x=18                                                                               ; 56: control
  ENDLOOP                                                                                            ; 57: control
ENDLOOP                                                                                              ; 58: control
LOOP a=563 n=R13                                                                                     ; 59: control
  LOAD a=726 n=32 flags=1                                                                            ; 60: load_ids
  LOAD a=728 c=32 n=512                                                                              ; 61: load_rope
  LOAD a=512 c=544 n=128                                                                             ; 62: load_norm
  LOOP a=68 n=R1                                                                                     ; 63: control
    EMBED a=524 b=R21 c=R22+0x2a0 n=64 k=2 sh=3 aux=101                                              ; 64: embed
    ADD a=R21+0x1 x=21                                                                               ; 65: control
    ADD a=R22+0x40 x=22                                                                              ; 66: control
  ENDLOOP                                                                                            ; 67: control
  ADD x=21                                                                                           ; 68: control
  ADD x=22                                                                                           ; 69: control
  LOOP a=75 n=R4                                                                                     ; 70: control
    EMBED a=524 b=R21+0x2 c=R22+0x320 n=64 k=2 sh=3 aux=101                                          ; 71: embed
    ADD a=R21+0x1 x=21                                                                               ; 72: control
    ADD a=R22+0x40 x=22                                                                              ; 73: control
  ENDLOOP                                                                                            ; 74: control
  ADD x=21                                                                                           ; 75: control
  ADD x=22                                                                                           ; 76: control
  LOOP a=80 n=R1                                                                                     ; 77: control
    ADD a=R25+0x2 x=25                                                                               ; 78: control
  ENDLOOP                                                                                            ; 79: control
  LOOP a=83 n=R4                                                                                     ; 80: control
    ADD a=R26+0x2 x=26                                                                               ; 81: control
  ENDLOOP                                                                                            ; 82: control
  ADD a=64 x=27                                                                                      ; 83: control
  LOOP a=87 n=R4                                                                                     ; 84: control
    ADD a=R27+0x40 x=27                                                                              ; 85: control
  ENDLOOP                                                                                            ; 86: control
  LOOP a=93 n=R1                                                                                     ; 87: control
    SUMSQ a=R21+0x2a0 n=64 aux=0x29f2                                                                ; 88: layer 0 attn_norm
    NORMQ a=R21+0x2a0 b=544 n=64 m=R22 sh=26 x=2                                                     ; 89: layer 0 attn_norm
    ADD a=R21+0x40 x=21                                                                              ; 90: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 91: layer 0 control
  ENDLOOP                                                                                            ; 92: layer 0 control
  ADD x=21                                                                                           ; 93: layer 0 control
  ADD x=22                                                                                           ; 94: layer 0 control
  RADD sig=1                                                                                         ; 95: layer 0 sync
  MATW c=0x4a0 n=32 m=R1 k=1 x=2 aux=64 wait=1 sig=2                                                 ; 96: layer 0 k_proj
  MATW a=34 c=0x5a0 n=4 m=R1 k=1 x=2 aux=8 sig=2                                                     ; 97: layer 0 v_proj
  MATW a=39 c=0x5c0 n=64 m=R1 k=1 x=2 aux=128 sig=2                                                  ; 98: layer 0 q_proj
  RADD wait=2                                                                                        ; 99: layer 0 sync
  ADD a=R2 x=19                                                                                      ; 100: layer 0 control
  ADD a=R3 x=20                                                                                      ; 101: layer 0 control
  LOOP a=115 n=R1                                                                                    ; 102: layer 0 control
    ROPE a=R21+0x4a0 b=R22+0x20 c=R21+0x520 n=1                                                      ; 103: layer 0 k_rope
    HADW a=R21+0x520 c=R21+0x520 n=64                                                                ; 104: layer 0 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=8                                                            ; 105: layer 0 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=16                                                           ; 106: layer 0 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=32 sh=4 flags=1                                              ; 107: layer 0 k_rotate
    STATK a=R21+0x520 c=1 n=1                                                                        ; 108: layer 0 k_scale
    QK a=R21+0x520 b=R20 c=R7+0x342 n=1 m=R19 k=18 aux=1                                             ; 109: layer 0 k_append
    ADD a=R21+0x40 x=21                                                                              ; 110: layer 0 control
    ADD a=R22+0x80 x=22                                                                              ; 111: layer 0 control
    ADD a=R19+0x1 x=19                                                                               ; 112: layer 0 control
    ADD a=R20+0x1 x=20                                                                               ; 113: layer 0 control
  ENDLOOP                                                                                            ; 114: layer 0 control
  ADD x=21                                                                                           ; 115: layer 0 control
  ADD x=22                                                                                           ; 116: layer 0 control
  RADD sig=3                                                                                         ; 117: layer 0 sync
  RADD wait=2                                                                                        ; 118: layer 0 sync
  ADD a=R2 x=19                                                                                      ; 119: layer 0 control
  ADD a=R3 x=20                                                                                      ; 120: layer 0 control
  LOOP a=127 n=R1                                                                                    ; 121: layer 0 control
    QV a=R21+0x5a0 b=R20 c=R7+0x354 n=1 m=R19 k=2 sh=4 aux=2                                         ; 122: layer 0 v_append
    ADD a=R21+0x8 x=21                                                                               ; 123: layer 0 control
    ADD a=R19+0x1 x=19                                                                               ; 124: layer 0 control
    ADD a=R20+0x1 x=20                                                                               ; 125: layer 0 control
  ENDLOOP                                                                                            ; 126: layer 0 control
  ADD x=21                                                                                           ; 127: layer 0 control
  RADD sig=4                                                                                         ; 128: layer 0 sync
  RADD wait=2                                                                                        ; 129: layer 0 sync
  LOOP a=146 n=R1                                                                                    ; 130: layer 0 control
    ROPE a=R21+0x5c0 b=R22+0x20 c=R23+0x6c0 n=2                                                      ; 131: layer 0 q_rope
    ROPE a=R21+0x5c0 b=R22+0x60 c=R23+0x740 n=2                                                      ; 132: layer 0 q_rope
    HADW a=R23+0x6c0 c=R23+0x6c0 n=256                                                               ; 133: layer 0 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=8                                                           ; 134: layer 0 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=16                                                          ; 135: layer 0 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=32 sh=3 flags=1                                             ; 136: layer 0 q_rotate
    STATQ a=R23+0x6c0 c=2 n=2 m=R24 k=4                                                              ; 137: layer 0 q_scale
    QQ a=R23+0x6c0 b=2 c=2 n=2 m=R24 k=4 x=2                                                         ; 138: layer 0 q_codes
    STATQ a=R23+0x740 c=6 n=2 m=R24 k=4                                                              ; 139: layer 0 q_scale
    QQ a=R23+0x740 b=6 c=4 n=2 m=R24 k=4 x=2                                                         ; 140: layer 0 q_codes
    ADD a=R21+0x80 x=21                                                                              ; 141: layer 0 control
    ADD a=R22+0x80 x=22                                                                              ; 142: layer 0 control
    ADD a=R23+0x100 x=23                                                                             ; 143: layer 0 control
    ADD a=R24+0x1 x=24                                                                               ; 144: layer 0 control
  ENDLOOP                                                                                            ; 145: layer 0 control
  ADD x=21                                                                                           ; 146: layer 0 control
  ADD x=22                                                                                           ; 147: layer 0 control
  ADD x=23                                                                                           ; 148: layer 0 control
  ADD x=24                                                                                           ; 149: layer 0 control
  RADD sig=7                                                                                         ; 150: layer 0 sync
  MATK a=R7+0x34b b=2 c=32 n=R9 m=R25 aux=2 wait=7 pfw=3                                             ; 151: layer 0 score head 0
  MATK a=R7+0x342 b=4 n=1 m=R25 aux=6 sig=2                                                          ; 152: layer 0 score head 0
  RADD wait=2                                                                                        ; 153: layer 0 sync
  ADD a=R2 x=19                                                                                      ; 154: layer 0 control
  ADD a=R3 x=20                                                                                      ; 155: layer 0 control
  LOOP a=162 n=R1                                                                                    ; 156: layer 0 control
    SOFTMAX a=R19 b=R20 c=6 n=R11 m=R21 k=0x7530 sh=27 x=4 aux=0x60002 flags=4                       ; 157: layer 0 softmax head 0
    ADD a=R21+0x2 x=21                                                                               ; 158: layer 0 control
    ADD a=R19+0x1 x=19                                                                               ; 159: layer 0 control
    ADD a=R20+0x1 x=20                                                                               ; 160: layer 0 control
  ENDLOOP                                                                                            ; 161: layer 0 control
  ADD x=21                                                                                           ; 162: layer 0 control
  RADD sig=1                                                                                         ; 163: layer 0 sync
  MATV a=R7+0x354 b=6 c=0x8c0 n=R10 m=R25 k=2 sh=1 x=4 aux=8 flags=4 wait=1 sig=2 pfw=4              ; 164: layer 0 attn head 0
  RADD wait=2                                                                                        ; 165: layer 0 sync
  LOOP a=172 n=R1                                                                                    ; 166: layer 0 control
    ATTQ a=R21+0x8c0 b=R23+0x2 c=10 n=8 m=R22 k=0x61a8 sh=23 x=1                                     ; 167: layer 0 attn_out head 0
    ADD a=R21+0x10 x=21                                                                              ; 168: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 169: layer 0 control
    ADD a=R23+0x2 x=23                                                                               ; 170: layer 0 control
  ENDLOOP                                                                                            ; 171: layer 0 control
  ADD x=21                                                                                           ; 172: layer 0 control
  ADD x=22                                                                                           ; 173: layer 0 control
  ADD x=23                                                                                           ; 174: layer 0 control
  RADD sig=1                                                                                         ; 175: layer 0 sync
  MATW a=107 b=10 c=928 n=32 m=R1 k=1 x=1 aux=64 wait=1 sig=2                                        ; 176: layer 0 o_proj
  LOOP a=183 n=R4                                                                                    ; 177: layer 0 control
    SUMSQ a=R21+0x320 n=64 aux=0x29f2                                                                ; 178: layer 0 attn_norm
    NORMQ a=R21+0x320 b=544 n=64 m=R22+0x2 sh=26 x=2                                                 ; 179: layer 0 attn_norm
    ADD a=R21+0x40 x=21                                                                              ; 180: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 181: layer 0 control
  ENDLOOP                                                                                            ; 182: layer 0 control
  ADD x=21                                                                                           ; 183: layer 0 control
  ADD x=22                                                                                           ; 184: layer 0 control
  RADD sig=1                                                                                         ; 185: layer 0 sync
  LOAD a=516 c=544 n=64                                                                              ; 186: load_norm
  MATW b=1 c=0x4a0 n=32 m=R4 k=1 x=2 aux=64 wait=1 sig=2                                             ; 187: layer 0 k_proj
  MATW a=34 b=1 c=0x5a0 n=4 m=R4 k=1 x=2 aux=8 sig=2                                                 ; 188: layer 0 v_proj
  MATW a=39 b=1 c=0x5c0 n=64 m=R4 k=1 x=2 aux=128 sig=2                                              ; 189: layer 0 q_proj
  RADD wait=2                                                                                        ; 190: layer 0 sync
  LOOP a=198 n=R1                                                                                    ; 191: layer 0 control
    RADD a=R21+0x2a0 b=R21+0x3a0 c=R21+0x2a0 n=64                                                    ; 192: layer 0 attn_residual
    SUMSQ a=R21+0x2a0 n=64 aux=0x29f2                                                                ; 193: layer 0 mlp_norm
    NORMQ a=R21+0x2a0 b=608 n=64 m=R22 sh=26 x=2                                                     ; 194: layer 0 mlp_norm
    ADD a=R21+0x40 x=21                                                                              ; 195: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 196: layer 0 control
  ENDLOOP                                                                                            ; 197: layer 0 control
  ADD x=21                                                                                           ; 198: layer 0 control
  ADD x=22                                                                                           ; 199: layer 0 control
  RADD sig=5                                                                                         ; 200: layer 0 sync
  MATW a=141 c=0x8e0 n=96 m=R1 k=1 x=2 aux=192 wait=5                                                ; 201: layer 0 gate_proj
  MATW a=243 c=0xa60 n=96 m=R1 k=1 x=2 aux=192 sig=6                                                 ; 202: layer 0 up_proj
  RADD wait=2                                                                                        ; 203: layer 0 sync
  ADD a=R5 x=19                                                                                      ; 204: layer 0 control
  ADD a=R6 x=20                                                                                      ; 205: layer 0 control
  LOOP a=219 n=R4                                                                                    ; 206: layer 0 control
    ROPE a=R21+0x4a0 b=R22+0x120 c=R21+0x520 n=1                                                     ; 207: layer 0 k_rope
    HADW a=R21+0x520 c=R21+0x520 n=64                                                                ; 208: layer 0 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=8                                                            ; 209: layer 0 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=16                                                           ; 210: layer 0 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=32 sh=4 flags=1                                              ; 211: layer 0 k_rotate
    STATK a=R21+0x520 c=1 n=1                                                                        ; 212: layer 0 k_scale
    QK a=R21+0x520 b=R20 c=R7+0x342 n=1 m=R19 k=18 aux=1                                             ; 213: layer 0 k_append
    ADD a=R21+0x40 x=21                                                                              ; 214: layer 0 control
    ADD a=R22+0x80 x=22                                                                              ; 215: layer 0 control
    ADD a=R19+0x1 x=19                                                                               ; 216: layer 0 control
    ADD a=R20+0x1 x=20                                                                               ; 217: layer 0 control
  ENDLOOP                                                                                            ; 218: layer 0 control
  ADD x=21                                                                                           ; 219: layer 0 control
  ADD x=22                                                                                           ; 220: layer 0 control
  RADD sig=3                                                                                         ; 221: layer 0 sync
  RADD wait=2                                                                                        ; 222: layer 0 sync
  ADD a=R5 x=19                                                                                      ; 223: layer 0 control
  ADD a=R6 x=20                                                                                      ; 224: layer 0 control
  LOOP a=231 n=R4                                                                                    ; 225: layer 0 control
    QV a=R21+0x5a0 b=R20 c=R7+0x354 n=1 m=R19 k=2 sh=4 aux=2                                         ; 226: layer 0 v_append
    ADD a=R21+0x8 x=21                                                                               ; 227: layer 0 control
    ADD a=R19+0x1 x=19                                                                               ; 228: layer 0 control
    ADD a=R20+0x1 x=20                                                                               ; 229: layer 0 control
  ENDLOOP                                                                                            ; 230: layer 0 control
  ADD x=21                                                                                           ; 231: layer 0 control
  RADD sig=4                                                                                         ; 232: layer 0 sync
  RADD wait=2                                                                                        ; 233: layer 0 sync
  LOOP a=250 n=R4                                                                                    ; 234: layer 0 control
    ROPE a=R21+0x5c0 b=R22+0x120 c=R23+0x6c0 n=2                                                     ; 235: layer 0 q_rope
    ROPE a=R21+0x5c0 b=R22+0x160 c=R23+0x740 n=2                                                     ; 236: layer 0 q_rope
    HADW a=R23+0x6c0 c=R23+0x6c0 n=256                                                               ; 237: layer 0 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=8                                                           ; 238: layer 0 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=16                                                          ; 239: layer 0 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=32 sh=3 flags=1                                             ; 240: layer 0 q_rotate
    STATQ a=R23+0x6c0 c=2 n=2 m=R24 k=4                                                              ; 241: layer 0 q_scale
    QQ a=R23+0x6c0 b=2 c=2 n=2 m=R24 k=4 x=2                                                         ; 242: layer 0 q_codes
    STATQ a=R23+0x740 c=6 n=2 m=R24 k=4                                                              ; 243: layer 0 q_scale
    QQ a=R23+0x740 b=6 c=4 n=2 m=R24 k=4 x=2                                                         ; 244: layer 0 q_codes
    ADD a=R21+0x80 x=21                                                                              ; 245: layer 0 control
    ADD a=R22+0x80 x=22                                                                              ; 246: layer 0 control
    ADD a=R23+0x100 x=23                                                                             ; 247: layer 0 control
    ADD a=R24+0x1 x=24                                                                               ; 248: layer 0 control
  ENDLOOP                                                                                            ; 249: layer 0 control
  ADD x=21                                                                                           ; 250: layer 0 control
  ADD x=22                                                                                           ; 251: layer 0 control
  ADD x=23                                                                                           ; 252: layer 0 control
  ADD x=24                                                                                           ; 253: layer 0 control
  RADD sig=7                                                                                         ; 254: layer 0 sync
  RADD wait=6                                                                                        ; 255: layer 0 sync
  LOOP a=261 n=R1                                                                                    ; 256: layer 0 control
    SILU a=R21+0x8e0 b=R21+0xa60 c=11 n=192 m=R22 sh=11 x=1                                          ; 257: layer 0 silu
    ADD a=R21+0xc0 x=21                                                                              ; 258: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 259: layer 0 control
  ENDLOOP                                                                                            ; 260: layer 0 control
  ADD x=21                                                                                           ; 261: layer 0 control
  ADD x=22                                                                                           ; 262: layer 0 control
  RADD sig=5                                                                                         ; 263: layer 0 sync
  MATK a=R7+0x34b b=2 c=32 n=R9 m=R26 aux=2 wait=7 pfw=3                                             ; 264: layer 0 score head 0
  MATK a=R7+0x342 b=4 n=1 m=R26 aux=6 sig=2                                                          ; 265: layer 0 score head 0
  RADD wait=2                                                                                        ; 266: layer 0 sync
  ADD a=R5 x=19                                                                                      ; 267: layer 0 control
  ADD a=R6 x=20                                                                                      ; 268: layer 0 control
  LOOP a=275 n=R4                                                                                    ; 269: layer 0 control
    SOFTMAX a=R19 b=R20 c=6 n=R11 m=R21 k=0x7530 sh=27 x=4 aux=0x60002 flags=4                       ; 270: layer 0 softmax head 0
    ADD a=R21+0x2 x=21                                                                               ; 271: layer 0 control
    ADD a=R19+0x1 x=19                                                                               ; 272: layer 0 control
    ADD a=R20+0x1 x=20                                                                               ; 273: layer 0 control
  ENDLOOP                                                                                            ; 274: layer 0 control
  ADD x=21                                                                                           ; 275: layer 0 control
  RADD sig=1                                                                                         ; 276: layer 0 sync
  MATV a=R7+0x354 b=6 c=0x8c0 n=R10 m=R26 k=2 sh=1 x=4 aux=8 flags=4 wait=1 sig=2 pfw=4              ; 277: layer 0 attn head 0
  MATW a=345 b=11 c=928 n=32 m=R1 k=1 x=1 aux=64 wait=5 sig=6                                        ; 278: layer 0 down_proj
  RADD wait=2                                                                                        ; 279: layer 0 sync
  LOOP a=286 n=R4                                                                                    ; 280: layer 0 control
    ATTQ a=R21+0x8c0 b=R23+0x2 c=10 n=8 m=R22 k=0x61a8 sh=23 x=1                                     ; 281: layer 0 attn_out head 0
    ADD a=R21+0x10 x=21                                                                              ; 282: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 283: layer 0 control
    ADD a=R23+0x2 x=23                                                                               ; 284: layer 0 control
  ENDLOOP                                                                                            ; 285: layer 0 control
  ADD x=21                                                                                           ; 286: layer 0 control
  ADD x=22                                                                                           ; 287: layer 0 control
  ADD x=23                                                                                           ; 288: layer 0 control
  RADD sig=1                                                                                         ; 289: layer 0 sync
  MATW a=107 b=10 c=0x420 n=32 m=R4 k=1 x=1 aux=64 wait=1 sig=2                                      ; 290: layer 0 o_proj
  RADD wait=6                                                                                        ; 291: layer 0 sync
  LOOP a=299 n=R1                                                                                    ; 292: layer 0 control
    RADD a=R21+0x2a0 b=R21+0x3a0 c=R21+0x2a0 n=64                                                    ; 293: layer 0 mlp_residual
    SUMSQ a=R21+0x2a0 n=64 aux=0x29f2                                                                ; 294: layer 1 attn_norm
    NORMQ a=R21+0x2a0 b=544 n=64 m=R22 sh=26 x=2                                                     ; 295: layer 1 attn_norm
    ADD a=R21+0x40 x=21                                                                              ; 296: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 297: layer 1 control
  ENDLOOP                                                                                            ; 298: layer 1 control
  ADD x=21                                                                                           ; 299: layer 1 control
  ADD x=22                                                                                           ; 300: layer 1 control
  RADD sig=1                                                                                         ; 301: layer 1 sync
  MATW a=379 c=0x4a0 n=32 m=R1 k=1 x=2 aux=64 wait=1 sig=2                                           ; 302: layer 1 k_proj
  MATW a=413 c=0x5a0 n=4 m=R1 k=1 x=2 aux=8 sig=2                                                    ; 303: layer 1 v_proj
  MATW a=418 c=0x5c0 n=64 m=R1 k=1 x=2 aux=128 sig=2                                                 ; 304: layer 1 q_proj
  RADD wait=2                                                                                        ; 305: layer 0 sync
  LOOP a=313 n=R4                                                                                    ; 306: layer 0 control
    RADD a=R21+0x320 b=R21+0x420 c=R21+0x320 n=64                                                    ; 307: layer 0 attn_residual
    SUMSQ a=R21+0x320 n=64 aux=0x29f2                                                                ; 308: layer 0 mlp_norm
    NORMQ a=R21+0x320 b=608 n=64 m=R22+0x2 sh=26 x=2                                                 ; 309: layer 0 mlp_norm
    ADD a=R21+0x40 x=21                                                                              ; 310: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 311: layer 0 control
  ENDLOOP                                                                                            ; 312: layer 0 control
  ADD x=21                                                                                           ; 313: layer 0 control
  ADD x=22                                                                                           ; 314: layer 0 control
  RADD sig=5                                                                                         ; 315: layer 0 sync
  LOAD a=518 c=608 n=64                                                                              ; 316: load_norm
  MATW a=141 b=1 c=0x8e0 n=96 m=R4 k=1 x=2 aux=192 wait=5                                            ; 317: layer 0 gate_proj
  MATW a=243 b=1 c=0xa60 n=96 m=R4 k=1 x=2 aux=192 sig=6                                             ; 318: layer 0 up_proj
  RADD wait=2                                                                                        ; 319: layer 1 sync
  ADD a=R2 x=19                                                                                      ; 320: layer 1 control
  ADD a=R3 x=20                                                                                      ; 321: layer 1 control
  LOOP a=335 n=R1                                                                                    ; 322: layer 1 control
    ROPE a=R21+0x4a0 b=R22+0x20 c=R21+0x520 n=1                                                      ; 323: layer 1 k_rope
    HADW a=R21+0x520 c=R21+0x520 n=64                                                                ; 324: layer 1 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=8                                                            ; 325: layer 1 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=16                                                           ; 326: layer 1 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=32 sh=4 flags=1                                              ; 327: layer 1 k_rotate
    STATK a=R21+0x520 c=1 n=1                                                                        ; 328: layer 1 k_scale
    QK a=R21+0x520 b=R20 c=R7+0x356 n=1 m=R19 k=18 aux=1                                             ; 329: layer 1 k_append
    ADD a=R21+0x40 x=21                                                                              ; 330: layer 1 control
    ADD a=R22+0x80 x=22                                                                              ; 331: layer 1 control
    ADD a=R19+0x1 x=19                                                                               ; 332: layer 1 control
    ADD a=R20+0x1 x=20                                                                               ; 333: layer 1 control
  ENDLOOP                                                                                            ; 334: layer 1 control
  ADD x=21                                                                                           ; 335: layer 1 control
  ADD x=22                                                                                           ; 336: layer 1 control
  RADD sig=3                                                                                         ; 337: layer 1 sync
  RADD wait=2                                                                                        ; 338: layer 1 sync
  ADD a=R2 x=19                                                                                      ; 339: layer 1 control
  ADD a=R3 x=20                                                                                      ; 340: layer 1 control
  LOOP a=347 n=R1                                                                                    ; 341: layer 1 control
    QV a=R21+0x5a0 b=R20 c=R7+0x368 n=1 m=R19 k=2 sh=4 aux=2                                         ; 342: layer 1 v_append
    ADD a=R21+0x8 x=21                                                                               ; 343: layer 1 control
    ADD a=R19+0x1 x=19                                                                               ; 344: layer 1 control
    ADD a=R20+0x1 x=20                                                                               ; 345: layer 1 control
  ENDLOOP                                                                                            ; 346: layer 1 control
  ADD x=21                                                                                           ; 347: layer 1 control
  RADD sig=4                                                                                         ; 348: layer 1 sync
  RADD wait=2                                                                                        ; 349: layer 1 sync
  LOOP a=366 n=R1                                                                                    ; 350: layer 1 control
    ROPE a=R21+0x5c0 b=R22+0x20 c=R23+0x6c0 n=2                                                      ; 351: layer 1 q_rope
    ROPE a=R21+0x5c0 b=R22+0x60 c=R23+0x740 n=2                                                      ; 352: layer 1 q_rope
    HADW a=R23+0x6c0 c=R23+0x6c0 n=256                                                               ; 353: layer 1 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=8                                                           ; 354: layer 1 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=16                                                          ; 355: layer 1 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=32 sh=3 flags=1                                             ; 356: layer 1 q_rotate
    STATQ a=R23+0x6c0 c=2 n=2 m=R24 k=4                                                              ; 357: layer 1 q_scale
    QQ a=R23+0x6c0 b=2 c=2 n=2 m=R24 k=4 x=2                                                         ; 358: layer 1 q_codes
    STATQ a=R23+0x740 c=6 n=2 m=R24 k=4                                                              ; 359: layer 1 q_scale
    QQ a=R23+0x740 b=6 c=4 n=2 m=R24 k=4 x=2                                                         ; 360: layer 1 q_codes
    ADD a=R21+0x80 x=21                                                                              ; 361: layer 1 control
    ADD a=R22+0x80 x=22                                                                              ; 362: layer 1 control
    ADD a=R23+0x100 x=23                                                                             ; 363: layer 1 control
    ADD a=R24+0x1 x=24                                                                               ; 364: layer 1 control
  ENDLOOP                                                                                            ; 365: layer 1 control
  ADD x=21                                                                                           ; 366: layer 1 control
  ADD x=22                                                                                           ; 367: layer 1 control
  ADD x=23                                                                                           ; 368: layer 1 control
  ADD x=24                                                                                           ; 369: layer 1 control
  RADD sig=7                                                                                         ; 370: layer 1 sync
  RADD wait=6                                                                                        ; 371: layer 0 sync
  LOOP a=377 n=R4                                                                                    ; 372: layer 0 control
    SILU a=R21+0x8e0 b=R21+0xa60 c=11 n=192 m=R22 sh=11 x=1                                          ; 373: layer 0 silu
    ADD a=R21+0xc0 x=21                                                                              ; 374: layer 0 control
    ADD a=R22+0x1 x=22                                                                               ; 375: layer 0 control
  ENDLOOP                                                                                            ; 376: layer 0 control
  ADD x=21                                                                                           ; 377: layer 0 control
  ADD x=22                                                                                           ; 378: layer 0 control
  RADD sig=5                                                                                         ; 379: layer 0 sync
  MATK a=R7+0x35f b=2 c=32 n=R9 m=R25 aux=2 wait=7 pfw=3                                             ; 380: layer 1 score head 0
  MATK a=R7+0x356 b=4 n=1 m=R25 aux=6 sig=2                                                          ; 381: layer 1 score head 0
  RADD wait=2                                                                                        ; 382: layer 1 sync
  ADD a=R2 x=19                                                                                      ; 383: layer 1 control
  ADD a=R3 x=20                                                                                      ; 384: layer 1 control
  LOOP a=391 n=R1                                                                                    ; 385: layer 1 control
    SOFTMAX a=R19 b=R20 c=6 n=R11 m=R21 k=0x7530 sh=27 x=4 aux=0x60002 flags=4                       ; 386: layer 1 softmax head 0
    ADD a=R21+0x2 x=21                                                                               ; 387: layer 1 control
    ADD a=R19+0x1 x=19                                                                               ; 388: layer 1 control
    ADD a=R20+0x1 x=20                                                                               ; 389: layer 1 control
  ENDLOOP                                                                                            ; 390: layer 1 control
  ADD x=21                                                                                           ; 391: layer 1 control
  RADD sig=1                                                                                         ; 392: layer 1 sync
  MATV a=R7+0x368 b=6 c=0x8c0 n=R10 m=R25 k=2 sh=1 x=4 aux=8 flags=4 wait=1 sig=2 pfw=4              ; 393: layer 1 attn head 0
  MATW a=345 b=11 c=0x420 n=32 m=R4 k=1 x=1 aux=64 wait=5 sig=6                                      ; 394: layer 0 down_proj
  RADD wait=2                                                                                        ; 395: layer 1 sync
  LOOP a=402 n=R1                                                                                    ; 396: layer 1 control
    ATTQ a=R21+0x8c0 b=R23+0x2 c=10 n=8 m=R22 k=0x61a8 sh=23 x=1                                     ; 397: layer 1 attn_out head 0
    ADD a=R21+0x10 x=21                                                                              ; 398: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 399: layer 1 control
    ADD a=R23+0x2 x=23                                                                               ; 400: layer 1 control
  ENDLOOP                                                                                            ; 401: layer 1 control
  ADD x=21                                                                                           ; 402: layer 1 control
  ADD x=22                                                                                           ; 403: layer 1 control
  ADD x=23                                                                                           ; 404: layer 1 control
  RADD sig=1                                                                                         ; 405: layer 1 sync
  MATW a=486 b=10 c=928 n=32 m=R1 k=1 x=1 aux=64 wait=1 sig=2                                        ; 406: layer 1 o_proj
  RADD wait=6                                                                                        ; 407: layer 0 sync
  LOOP a=415 n=R4                                                                                    ; 408: layer 0 control
    RADD a=R21+0x320 b=R21+0x420 c=R21+0x320 n=64                                                    ; 409: layer 0 mlp_residual
    SUMSQ a=R21+0x320 n=64 aux=0x29f2                                                                ; 410: layer 1 attn_norm
    NORMQ a=R21+0x320 b=544 n=64 m=R22+0x2 sh=26 x=2                                                 ; 411: layer 1 attn_norm
    ADD a=R21+0x40 x=21                                                                              ; 412: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 413: layer 1 control
  ENDLOOP                                                                                            ; 414: layer 1 control
  ADD x=21                                                                                           ; 415: layer 1 control
  ADD x=22                                                                                           ; 416: layer 1 control
  RADD sig=1                                                                                         ; 417: layer 1 sync
  LOAD a=520 c=544 n=64                                                                              ; 418: load_norm
  MATW a=379 b=1 c=0x4a0 n=32 m=R4 k=1 x=2 aux=64 wait=1 sig=2                                       ; 419: layer 1 k_proj
  MATW a=413 b=1 c=0x5a0 n=4 m=R4 k=1 x=2 aux=8 sig=2                                                ; 420: layer 1 v_proj
  MATW a=418 b=1 c=0x5c0 n=64 m=R4 k=1 x=2 aux=128 sig=2                                             ; 421: layer 1 q_proj
  RADD wait=2                                                                                        ; 422: layer 1 sync
  LOOP a=430 n=R1                                                                                    ; 423: layer 1 control
    RADD a=R21+0x2a0 b=R21+0x3a0 c=R21+0x2a0 n=64                                                    ; 424: layer 1 attn_residual
    SUMSQ a=R21+0x2a0 n=64 aux=0x29f2                                                                ; 425: layer 1 mlp_norm
    NORMQ a=R21+0x2a0 b=608 n=64 m=R22 sh=26 x=2                                                     ; 426: layer 1 mlp_norm
    ADD a=R21+0x40 x=21                                                                              ; 427: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 428: layer 1 control
  ENDLOOP                                                                                            ; 429: layer 1 control
  ADD x=21                                                                                           ; 430: layer 1 control
  ADD x=22                                                                                           ; 431: layer 1 control
  RADD sig=5                                                                                         ; 432: layer 1 sync
  MATW a=520 c=0x8e0 n=96 m=R1 k=1 x=2 aux=192 wait=5                                                ; 433: layer 1 gate_proj
  MATW a=622 c=0xa60 n=96 m=R1 k=1 x=2 aux=192 sig=6                                                 ; 434: layer 1 up_proj
  RADD wait=2                                                                                        ; 435: layer 1 sync
  ADD a=R5 x=19                                                                                      ; 436: layer 1 control
  ADD a=R6 x=20                                                                                      ; 437: layer 1 control
  LOOP a=451 n=R4                                                                                    ; 438: layer 1 control
    ROPE a=R21+0x4a0 b=R22+0x120 c=R21+0x520 n=1                                                     ; 439: layer 1 k_rope
    HADW a=R21+0x520 c=R21+0x520 n=64                                                                ; 440: layer 1 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=8                                                            ; 441: layer 1 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=16                                                           ; 442: layer 1 k_rotate
    HADX a=R21+0x520 c=R21+0x520 n=64 k=32 sh=4 flags=1                                              ; 443: layer 1 k_rotate
    STATK a=R21+0x520 c=1 n=1                                                                        ; 444: layer 1 k_scale
    QK a=R21+0x520 b=R20 c=R7+0x356 n=1 m=R19 k=18 aux=1                                             ; 445: layer 1 k_append
    ADD a=R21+0x40 x=21                                                                              ; 446: layer 1 control
    ADD a=R22+0x80 x=22                                                                              ; 447: layer 1 control
    ADD a=R19+0x1 x=19                                                                               ; 448: layer 1 control
    ADD a=R20+0x1 x=20                                                                               ; 449: layer 1 control
  ENDLOOP                                                                                            ; 450: layer 1 control
  ADD x=21                                                                                           ; 451: layer 1 control
  ADD x=22                                                                                           ; 452: layer 1 control
  RADD sig=3                                                                                         ; 453: layer 1 sync
  RADD wait=2                                                                                        ; 454: layer 1 sync
  ADD a=R5 x=19                                                                                      ; 455: layer 1 control
  ADD a=R6 x=20                                                                                      ; 456: layer 1 control
  LOOP a=463 n=R4                                                                                    ; 457: layer 1 control
    QV a=R21+0x5a0 b=R20 c=R7+0x368 n=1 m=R19 k=2 sh=4 aux=2                                         ; 458: layer 1 v_append
    ADD a=R21+0x8 x=21                                                                               ; 459: layer 1 control
    ADD a=R19+0x1 x=19                                                                               ; 460: layer 1 control
    ADD a=R20+0x1 x=20                                                                               ; 461: layer 1 control
  ENDLOOP                                                                                            ; 462: layer 1 control
  ADD x=21                                                                                           ; 463: layer 1 control
  RADD sig=4                                                                                         ; 464: layer 1 sync
  RADD wait=2                                                                                        ; 465: layer 1 sync
  LOOP a=482 n=R4                                                                                    ; 466: layer 1 control
    ROPE a=R21+0x5c0 b=R22+0x120 c=R23+0x6c0 n=2                                                     ; 467: layer 1 q_rope
    ROPE a=R21+0x5c0 b=R22+0x160 c=R23+0x740 n=2                                                     ; 468: layer 1 q_rope
    HADW a=R23+0x6c0 c=R23+0x6c0 n=256                                                               ; 469: layer 1 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=8                                                           ; 470: layer 1 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=16                                                          ; 471: layer 1 q_rotate
    HADX a=R23+0x6c0 c=R23+0x6c0 n=256 k=32 sh=3 flags=1                                             ; 472: layer 1 q_rotate
    STATQ a=R23+0x6c0 c=2 n=2 m=R24 k=4                                                              ; 473: layer 1 q_scale
    QQ a=R23+0x6c0 b=2 c=2 n=2 m=R24 k=4 x=2                                                         ; 474: layer 1 q_codes
    STATQ a=R23+0x740 c=6 n=2 m=R24 k=4                                                              ; 475: layer 1 q_scale
    QQ a=R23+0x740 b=6 c=4 n=2 m=R24 k=4 x=2                                                         ; 476: layer 1 q_codes
    ADD a=R21+0x80 x=21                                                                              ; 477: layer 1 control
    ADD a=R22+0x80 x=22                                                                              ; 478: layer 1 control
    ADD a=R23+0x100 x=23                                                                             ; 479: layer 1 control
    ADD a=R24+0x1 x=24                                                                               ; 480: layer 1 control
  ENDLOOP                                                                                            ; 481: layer 1 control
  ADD x=21                                                                                           ; 482: layer 1 control
  ADD x=22                                                                                           ; 483: layer 1 control
  ADD x=23                                                                                           ; 484: layer 1 control
  ADD x=24                                                                                           ; 485: layer 1 control
  RADD sig=7                                                                                         ; 486: layer 1 sync
  RADD wait=6                                                                                        ; 487: layer 1 sync
  LOOP a=493 n=R1                                                                                    ; 488: layer 1 control
    SILU a=R21+0x8e0 b=R21+0xa60 c=11 n=192 m=R22 sh=11 x=1                                          ; 489: layer 1 silu
    ADD a=R21+0xc0 x=21                                                                              ; 490: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 491: layer 1 control
  ENDLOOP                                                                                            ; 492: layer 1 control
  ADD x=21                                                                                           ; 493: layer 1 control
  ADD x=22                                                                                           ; 494: layer 1 control
  RADD sig=5                                                                                         ; 495: layer 1 sync
  MATK a=R7+0x35f b=2 c=32 n=R9 m=R26 aux=2 wait=7 pfw=3                                             ; 496: layer 1 score head 0
  MATK a=R7+0x356 b=4 n=1 m=R26 aux=6 sig=2                                                          ; 497: layer 1 score head 0
  RADD wait=2                                                                                        ; 498: layer 1 sync
  ADD a=R5 x=19                                                                                      ; 499: layer 1 control
  ADD a=R6 x=20                                                                                      ; 500: layer 1 control
  LOOP a=507 n=R4                                                                                    ; 501: layer 1 control
    SOFTMAX a=R19 b=R20 c=6 n=R11 m=R21 k=0x7530 sh=27 x=4 aux=0x60002 flags=4                       ; 502: layer 1 softmax head 0
    ADD a=R21+0x2 x=21                                                                               ; 503: layer 1 control
    ADD a=R19+0x1 x=19                                                                               ; 504: layer 1 control
    ADD a=R20+0x1 x=20                                                                               ; 505: layer 1 control
  ENDLOOP                                                                                            ; 506: layer 1 control
  ADD x=21                                                                                           ; 507: layer 1 control
  RADD sig=1                                                                                         ; 508: layer 1 sync
  MATV a=R7+0x368 b=6 c=0x8c0 n=R10 m=R26 k=2 sh=1 x=4 aux=8 flags=4 wait=1 sig=2 pfw=4              ; 509: layer 1 attn head 0
  MATW a=724 b=11 c=928 n=32 m=R1 k=1 x=1 aux=64 wait=5 sig=6                                        ; 510: layer 1 down_proj
  RADD wait=2                                                                                        ; 511: layer 1 sync
  LOOP a=518 n=R4                                                                                    ; 512: layer 1 control
    ATTQ a=R21+0x8c0 b=R23+0x2 c=10 n=8 m=R22 k=0x61a8 sh=23 x=1                                     ; 513: layer 1 attn_out head 0
    ADD a=R21+0x10 x=21                                                                              ; 514: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 515: layer 1 control
    ADD a=R23+0x2 x=23                                                                               ; 516: layer 1 control
  ENDLOOP                                                                                            ; 517: layer 1 control
  ADD x=21                                                                                           ; 518: layer 1 control
  ADD x=22                                                                                           ; 519: layer 1 control
  ADD x=23                                                                                           ; 520: layer 1 control
  RADD sig=1                                                                                         ; 521: layer 1 sync
  MATW a=486 b=10 c=0x420 n=32 m=R4 k=1 x=1 aux=64 wait=1 sig=2                                      ; 522: layer 1 o_proj
  RADD wait=6                                                                                        ; 523: layer 1 sync
  LOOP a=529 n=R1                                                                                    ; 524: layer 1 control
    RADD a=R21+0x2a0 b=R21+0x3a0 c=R21+0x2a0 n=64                                                    ; 525: layer 1 mlp_residual
    ADD a=R21+0x40 x=21                                                                              ; 526: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 527: layer 1 control
  ENDLOOP                                                                                            ; 528: layer 1 control
  ADD x=21                                                                                           ; 529: layer 1 control
  ADD x=22                                                                                           ; 530: layer 1 control
  RADD wait=2                                                                                        ; 531: layer 1 sync
  LOOP a=539 n=R4                                                                                    ; 532: layer 1 control
    RADD a=R21+0x320 b=R21+0x420 c=R21+0x320 n=64                                                    ; 533: layer 1 attn_residual
    SUMSQ a=R21+0x320 n=64 aux=0x29f2                                                                ; 534: layer 1 mlp_norm
    NORMQ a=R21+0x320 b=608 n=64 m=R22+0x2 sh=26 x=2                                                 ; 535: layer 1 mlp_norm
    ADD a=R21+0x40 x=21                                                                              ; 536: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 537: layer 1 control
  ENDLOOP                                                                                            ; 538: layer 1 control
  ADD x=21                                                                                           ; 539: layer 1 control
  ADD x=22                                                                                           ; 540: layer 1 control
  RADD sig=5                                                                                         ; 541: layer 1 sync
  MATW a=520 b=1 c=0x8e0 n=96 m=R4 k=1 x=2 aux=192 wait=5                                            ; 542: layer 1 gate_proj
  MATW a=622 b=1 c=0xa60 n=96 m=R4 k=1 x=2 aux=192 sig=6                                             ; 543: layer 1 up_proj
  RADD wait=6                                                                                        ; 544: layer 1 sync
  LOOP a=550 n=R4                                                                                    ; 545: layer 1 control
    SILU a=R21+0x8e0 b=R21+0xa60 c=11 n=192 m=R22 sh=11 x=1                                          ; 546: layer 1 silu
    ADD a=R21+0xc0 x=21                                                                              ; 547: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 548: layer 1 control
  ENDLOOP                                                                                            ; 549: layer 1 control
  ADD x=21                                                                                           ; 550: layer 1 control
  ADD x=22                                                                                           ; 551: layer 1 control
  RADD sig=5                                                                                         ; 552: layer 1 sync
  MATW a=724 b=11 c=0x420 n=32 m=R4 k=1 x=1 aux=64 wait=5 sig=6                                      ; 553: layer 1 down_proj
  RADD wait=6                                                                                        ; 554: layer 1 sync
  LOOP a=560 n=R4                                                                                    ; 555: layer 1 control
    RADD a=R21+0x320 b=R21+0x420 c=R21+0x320 n=64                                                    ; 556: layer 1 mlp_residual
    ADD a=R21+0x40 x=21                                                                              ; 557: layer 1 control
    ADD a=R22+0x1 x=22                                                                               ; 558: layer 1 control
  ENDLOOP                                                                                            ; 559: layer 1 control
  ADD x=21                                                                                           ; 560: layer 1 control
  ADD x=22                                                                                           ; 561: layer 1 control
ENDLOOP                                                                                              ; 562: layer 1 control
LOOP a=653 n=R14                                                                                     ; 563: layer 1 control
  LOAD a=726 n=32 flags=1                                                                            ; 564: load_ids
  LOAD a=728 c=32 n=256                                                                              ; 565: load_rope
  LOAD a=512 c=544 n=128                                                                             ; 566: load_norm
  EMBED a=524 c=672 n=64 k=2 sh=3 aux=101                                                            ; 567: embed sequence 0
  EMBED a=524 b=1 c=736 n=64 k=2 sh=3 aux=101                                                        ; 568: embed sequence 1
  LOOP a=642 n=2                                                                                     ; 569: control
    SUMSQ a=672 n=64 aux=0x29f2                                                                      ; 570: layer 0+ attn_norm sequence 0
    NORMQ a=672 b=544 n=64 sh=26 x=2                                                                 ; 571: layer 0+ attn_norm sequence 0
    SUMSQ a=736 n=64 aux=0x29f2                                                                      ; 572: layer 0+ attn_norm sequence 1
    NORMQ a=736 b=544 n=64 m=1 sh=26 x=2 sig=1                                                       ; 573: layer 0+ attn_norm sequence 1
    MATW a=R16 c=0x4a0 n=32 m=2 k=1 x=2 aux=64 wait=1 sig=2                                          ; 574: layer 0+ k_proj
    MATW a=R16+0x22 c=0x5a0 n=4 m=2 k=1 x=2 aux=8 sig=2                                              ; 575: layer 0+ v_proj
    MATW a=R16+0x27 c=0x5c0 n=64 m=2 k=1 x=2 aux=128 sig=2                                           ; 576: layer 0+ q_proj
    ROPE a=0x4a0 b=32 c=0x520 n=1 wait=2                                                             ; 577: layer 0+ k_rope sequence 0
    HADW a=0x520 c=0x520 n=64                                                                        ; 578: layer 0+ k_rotate sequence 0
    HADX a=0x520 c=0x520 n=64 k=8                                                                    ; 579: layer 0+ k_rotate sequence 0
    HADX a=0x520 c=0x520 n=64 k=16                                                                   ; 580: layer 0+ k_rotate sequence 0
    HADX a=0x520 c=0x520 n=64 k=32 sh=4 flags=1                                                      ; 581: layer 0+ k_rotate sequence 0
    STATK a=0x520 c=1 n=1                                                                            ; 582: layer 0+ k_scale sequence 0
    QK a=0x520 b=R2 c=R17+0x342 n=1 m=R1 k=18 aux=1                                                  ; 583: layer 0+ k_append sequence 0
    ROPE a=0x4e0 b=160 c=0x560 n=1                                                                   ; 584: layer 0+ k_rope sequence 1
    HADW a=0x560 c=0x560 n=64                                                                        ; 585: layer 0+ k_rotate sequence 1
    HADX a=0x560 c=0x560 n=64 k=8                                                                    ; 586: layer 0+ k_rotate sequence 1
    HADX a=0x560 c=0x560 n=64 k=16                                                                   ; 587: layer 0+ k_rotate sequence 1
    HADX a=0x560 c=0x560 n=64 k=32 sh=4 flags=1                                                      ; 588: layer 0+ k_rotate sequence 1
    STATK a=0x560 c=1 n=1                                                                            ; 589: layer 0+ k_scale sequence 1
    QK a=0x560 b=R4 c=R17+0x36a n=1 m=R3 k=18 aux=1 sig=3                                            ; 590: layer 0+ k_append sequence 1
    QV a=0x5a0 b=R2 c=R17+0x354 n=1 m=R1 k=2 sh=4 aux=2 wait=2                                       ; 591: layer 0+ v_append sequence 0
    QV a=0x5a8 b=R4 c=R17+0x37c n=1 m=R3 k=2 sh=4 aux=2 sig=4                                        ; 592: layer 0+ v_append sequence 1
    ROPE a=0x5c0 b=32 c=0x6c0 n=2 wait=2                                                             ; 593: layer 0+ q_rope sequence 0
    ROPE a=0x5c0 b=96 c=0x740 n=2                                                                    ; 594: layer 0+ q_rope sequence 0
    HADW a=0x6c0 c=0x6c0 n=256                                                                       ; 595: layer 0+ q_rotate sequence 0
    HADX a=0x6c0 c=0x6c0 n=256 k=8                                                                   ; 596: layer 0+ q_rotate sequence 0
    HADX a=0x6c0 c=0x6c0 n=256 k=16                                                                  ; 597: layer 0+ q_rotate sequence 0
    HADX a=0x6c0 c=0x6c0 n=256 k=32 sh=3 flags=1                                                     ; 598: layer 0+ q_rotate sequence 0
    STATQ a=0x6c0 c=2 n=2 k=4                                                                        ; 599: layer 0+ q_scale sequence 0
    QQ a=0x6c0 b=2 c=2 n=2 k=4 x=2                                                                   ; 600: layer 0+ q_codes sequence 0
    STATQ a=0x740 c=6 n=2 k=4                                                                        ; 601: layer 0+ q_scale sequence 0
    QQ a=0x740 b=6 c=4 n=2 k=4 x=2                                                                   ; 602: layer 0+ q_codes sequence 0
    ROPE a=0x640 b=160 c=0x7c0 n=2                                                                   ; 603: layer 0+ q_rope sequence 1
    ROPE a=0x640 b=224 c=0x840 n=2                                                                   ; 604: layer 0+ q_rope sequence 1
    HADW a=0x7c0 c=0x7c0 n=256                                                                       ; 605: layer 0+ q_rotate sequence 1
    HADX a=0x7c0 c=0x7c0 n=256 k=8                                                                   ; 606: layer 0+ q_rotate sequence 1
    HADX a=0x7c0 c=0x7c0 n=256 k=16                                                                  ; 607: layer 0+ q_rotate sequence 1
    HADX a=0x7c0 c=0x7c0 n=256 k=32 sh=3 flags=1                                                     ; 608: layer 0+ q_rotate sequence 1
    STATQ a=0x7c0 c=2 n=2 m=1 k=4                                                                    ; 609: layer 0+ q_scale sequence 1
    QQ a=0x7c0 b=2 c=2 n=2 m=1 k=4 x=2                                                               ; 610: layer 0+ q_codes sequence 1
    STATQ a=0x840 c=6 n=2 m=1 k=4                                                                    ; 611: layer 0+ q_scale sequence 1
    QQ a=0x840 b=6 c=4 n=2 m=1 k=4 x=2 sig=7                                                         ; 612: layer 0+ q_codes sequence 1
    MATK a=R17+0x34b b=2 c=32 n=R9 m=2 aux=2 wait=7 pfw=3                                            ; 613: layer 0+ score sequence 0 head 0
    MATK a=R17+0x342 b=4 n=1 m=2 aux=6 sig=2                                                         ; 614: layer 0+ score sequence 0 head 0
    MATK a=R17+0x373 b=3 c=96 n=R9 m=2 aux=4                                                         ; 615: layer 0+ score sequence 1 head 0
    MATK a=R17+0x36a b=5 c=64 n=1 m=2 aux=8 sig=2                                                    ; 616: layer 0+ score sequence 1 head 0
    SOFTMAX a=R1 b=R2 c=6 n=R11 k=0x7530 sh=27 x=4 aux=0x60002 flags=4 wait=2 sig=1                  ; 617: layer 0+ softmax sequence 0 head 0
    MATV a=R17+0x354 b=6 c=0x8c0 n=R10 m=2 k=2 sh=1 x=4 aux=8 flags=4 wait=1 sig=2 pfw=4             ; 618: layer 0+ attn sequence 0 head 0
    SOFTMAX a=R3 b=R4 c=6 n=R11 m=2 k=0x7530 sh=27 x=4 aux=0x60002 flags=4 wait=2 sig=1              ; 619: layer 0+ softmax sequence 1 head 0
    ATTQ a=0x8c0 b=2 c=10 n=8 k=0x61a8 sh=23 x=1 wait=2                                              ; 620: layer 0+ attn_out sequence 0 head 0
    MATV a=R17+0x37c b=8 c=0x8d0 n=R10 m=2 k=2 sh=1 x=4 aux=8 flags=4 wait=1 sig=2                   ; 621: layer 0+ attn sequence 1 head 0
    ATTQ a=0x8d0 b=4 c=10 n=8 m=1 k=0x61a8 sh=23 x=1 wait=2 sig=1                                    ; 622: layer 0+ attn_out sequence 1 head 0
    MATW a=R16+0x6b b=10 c=928 n=32 m=2 k=1 x=1 aux=64 wait=1 sig=2                                  ; 623: layer 0+ o_proj
    RADD a=672 b=928 c=672 n=64 wait=2                                                               ; 624: layer 0+ attn_residual sequence 0
    SUMSQ a=672 n=64 aux=0x29f2                                                                      ; 625: layer 0+ mlp_norm sequence 0
    NORMQ a=672 b=608 n=64 sh=26 x=2                                                                 ; 626: layer 0+ mlp_norm sequence 0
    RADD a=736 b=992 c=736 n=64                                                                      ; 627: layer 0+ attn_residual sequence 1
    SUMSQ a=736 n=64 aux=0x29f2                                                                      ; 628: layer 0+ mlp_norm sequence 1
    NORMQ a=736 b=608 n=64 m=1 sh=26 x=2 sig=5                                                       ; 629: layer 0+ mlp_norm sequence 1
    MATW a=R16+0x8d c=0x8e0 n=96 m=2 k=1 x=2 aux=192 wait=5                                          ; 630: layer 0+ gate_proj
    MATW a=R16+0xf3 c=0xa60 n=96 m=2 k=1 x=2 aux=192 sig=6                                           ; 631: layer 0+ up_proj
    LOAD a=R18+0x204 c=544 n=128                                                                     ; 632: load_norm
    SILU a=0x8e0 b=0xa60 c=11 n=192 sh=11 x=1 wait=6                                                 ; 633: layer 0+ silu sequence 0
    SILU a=0x9a0 b=0xb20 c=11 n=192 m=1 sh=11 x=1 sig=5                                              ; 634: layer 0+ silu sequence 1
    MATW a=R16+0x159 b=11 c=928 n=32 m=2 k=1 x=1 aux=64 wait=5 sig=6                                 ; 635: layer 0+ down_proj
    RADD a=672 b=928 c=672 n=64 wait=6                                                               ; 636: layer 0+ mlp_residual sequence 0
    RADD a=736 b=992 c=736 n=64                                                                      ; 637: layer 0+ mlp_residual sequence 1
    ADD a=R16+0x17b x=16                                                                             ; 638: control
    ADD a=R17+0x14 x=17                                                                              ; 639: control
    ADD a=R18+0x4 x=18                                                                               ; 640: control
  ENDLOOP                                                                                            ; 641: control
  LOOP a=651 n=R15                                                                                   ; 642: control
    SUMSQ a=672 n=64 aux=0x29f2                                                                      ; 643: final_norm sequence 0
    NORMQ a=672 b=544 n=64 sh=26 x=2                                                                 ; 644: final_norm sequence 0
    SUMSQ a=736 n=64 aux=0x29f2                                                                      ; 645: final_norm sequence 1
    NORMQ a=736 b=544 n=64 m=1 sh=26 x=2 sig=1                                                       ; 646: final_norm sequence 1
    MATW a=758 c=0x4a0 n=64 m=2 k=1 x=2 aux=128 flags=2 wait=1 sig=2                                 ; 647: head
    STORE a=0x4a0 c=744 n=128 wait=2                                                                 ; 648: store_logits sequence 0
    STORE a=0x520 c=752 n=128                                                                        ; 649: store_logits sequence 1
  ENDLOOP                                                                                            ; 650: control
  ADD x=15                                                                                           ; 651: control
ENDLOOP                                                                                              ; 652: control
LOOP a=660 n=R15                                                                                     ; 653: control
  SUMSQ a=R27+0x2a0 n=64 aux=0x29f2                                                                  ; 654: final_norm
  NORMQ a=R27+0x2a0 b=544 n=64 sh=26 x=2 sig=1                                                       ; 655: final_norm
  MATW a=758 c=0x4a0 n=64 m=1 k=1 x=2 aux=128 flags=2 wait=1 sig=2                                   ; 656: head
  ARGMAX a=0x4a0 n=101 flags=1 wait=2                                                                ; 657: argmax
  STORE a=R21+0x4a0 c=R22+0x2e8 n=128                                                                ; 658: store_logits
ENDLOOP                                                                                              ; 659: control
END                                                                                                  ; 660: control

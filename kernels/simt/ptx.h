// SPDX-License-Identifier: Apache-2.0
// The only inline PTX. Each wrapper has a scalar definition for the shim; semantics as in the PTX ISA 8.x chapters
// named. Include through simt.h.
#pragma once

namespace tokenworks::simt {

#if defined(__CUDACC__)

TW_DEVICE unsigned LaneId() { return threadIdx.x & 31; }
TW_DEVICE float ShuffleXor(float v, int mask) { return __shfl_xor_sync(0xffffffffu, v, mask); }
TW_DEVICE uint32_t ShuffleXor(uint32_t v, int mask) { return __shfl_xor_sync(0xffffffffu, v, mask); }
TW_DEVICE int ShuffleXor(int v, int mask) { return __shfl_xor_sync(0xffffffffu, v, mask); }
TW_DEVICE int Shuffle(int v, int lane) { return __shfl_sync(0xffffffffu, v, lane); }
TW_DEVICE float Shuffle(float v, int lane) { return __shfl_sync(0xffffffffu, v, lane); }
TW_DEVICE bool AnyLane(bool v) { return __any_sync(0xffffffffu, v); }

// 2^x, one instruction; 2^-inf = 0.
TW_DEVICE float Exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
TW_DEVICE float InverseSqrt(float x) { return rsqrtf(x); }

// Plain and streaming (read once: past L1) 16-byte accesses of global memory.
TW_DEVICE Vec16 Load16(const void* p) {
  const uint4 v = *static_cast<const uint4*>(p);
  return {{v.x, v.y, v.z, v.w}};
}
TW_DEVICE Vec16 LoadStream16(const void* p) {
  Vec16 v;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.word[0]), "=r"(v.word[1]), "=r"(v.word[2]), "=r"(v.word[3])
               : "l"(p));
  return v;
}
TW_DEVICE void Store16(void* p, const Vec16& v) {
  *static_cast<uint4*>(p) = make_uint4(v.word[0], v.word[1], v.word[2], v.word[3]);
}

TW_DEVICE unsigned SharedAddress(const void* p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }

// cp.async of 16 bytes past L1; !valid writes zeros and reads nothing.
TW_DEVICE void CopyAsync16(void* shared, const void* global, bool valid = true) {
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(SharedAddress(shared)), "l"(global),
               "r"(bytes)
               : "memory");
}
TW_DEVICE void CopyAsyncCommit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kGroupsLeft>
TW_DEVICE void CopyAsyncWait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroupsLeft) : "memory");
}

// Four 8x8 b16 matrices; lane 8j + r gives the address of row r of matrix j (16 bytes, aligned).
TW_DEVICE void LoadMatrix4(uint32_t (&d)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
               : "r"(SharedAddress(row))
               : "memory");
}
TW_DEVICE void LoadMatrix4Transposed(uint32_t (&d)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
               : "r"(SharedAddress(row))
               : "memory");
}
// Transposes an 8x8 b16 matrix held one row per four lanes.
TW_DEVICE uint32_t TransposeMatrix(uint32_t v) {
  uint32_t d;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(d) : "r"(v));
  return d;
}
// d += a (16x16, row major) * b (16x8, column major), bf16 in, f32 out.
TW_DEVICE void MultiplyAccumulate(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Programmatic dependent launch (sm_90): wait until the predecessor's writes are visible; allow the successor to start.
TW_DEVICE void WaitForPredecessor() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
TW_DEVICE void AllowSuccessor() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

#else  // the shim

inline unsigned LaneId() { return Lane(); }

// Writes `bytes` of this lane's value, waits for the warp, and returns the slots of all lanes.
inline const LaneSlot* Exchange(const void* value, size_t bytes) {
  ThreadState& t = Current();
  LaneSlot* slots = WarpSlots(t.exchange++);
  std::memcpy(slots[Lane()].word, value, bytes);
  WarpBarrier();
  return slots;
}
template <class T>
T Shuffle(T v, int lane) {
  T out;
  std::memcpy(&out, Exchange(&v, sizeof v)[lane & 31].word, sizeof v);
  return out;
}
template <class T>
T ShuffleXor(T v, int mask) {
  return Shuffle(v, static_cast<int>(Lane()) ^ mask);
}

inline bool AnyLane(bool v) {
  const LaneSlot* slots = Exchange(&v, sizeof v);
  bool any = false;
  for (int lane = 0; lane < 32; ++lane) any |= (slots[lane].word[0] & 0xff) != 0;
  return any;
}

inline float Exp2(float x) { return exp2f(x); }
inline float InverseSqrt(float x) { return 1.0f / sqrtf(x); }

inline Vec16 Load16(const void* p) { return *static_cast<const Vec16*>(p); }
inline Vec16 LoadStream16(const void* p) { return Load16(p); }
inline void Store16(void* p, const Vec16& v) { *static_cast<Vec16*>(p) = v; }

inline void CopyAsync16(void* shared, const void* global, bool valid = true) { AsyncCopy16(shared, global, valid); }
inline void CopyAsyncCommit() { AsyncCopyCommit(); }
template <int kGroupsLeft>
void CopyAsyncWait() {
  AsyncCopyWait(kGroupsLeft);
}

inline void LoadMatrix4Any(uint32_t (&d)[4], const void* row, bool transposed) {
  const LaneSlot* slots = Exchange(&row, sizeof row);
  const unsigned lane = Lane();
  for (int j = 0; j < 4; ++j) {
    uint16_t pair[2];
    for (unsigned e = 0; e < 2; ++e) {
      const unsigned r = transposed ? lane % 4 * 2 + e : lane / 4, c = transposed ? lane / 4 : lane % 4 * 2 + e;
      const uint16_t* source;
      std::memcpy(&source, slots[j * 8 + r].word, sizeof source);
      pair[e] = source[c];
    }
    d[j] = pair[0] | uint32_t{pair[1]} << 16;
  }
  WarpBarrier();  // the instruction reads for all lanes at once: nobody writes before all have read
}
inline void LoadMatrix4(uint32_t (&d)[4], const void* row) { LoadMatrix4Any(d, row, false); }
inline void LoadMatrix4Transposed(uint32_t (&d)[4], const void* row) { LoadMatrix4Any(d, row, true); }

inline uint32_t TransposeMatrix(uint32_t v) {
  const LaneSlot* slots = Exchange(&v, sizeof v);
  const unsigned lane = Lane(), row = lane / 4, column = lane % 4 * 2;
  uint32_t d = 0;
  for (unsigned e = 0; e < 2; ++e)
    d |= (slots[(column + e) * 4 + row / 2].word[0] >> (row % 2 * 16) & 0xffffu) << (16 * e);
  return d;
}

inline void MultiplyAccumulate(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  const uint32_t mine[6] = {a[0], a[1], a[2], a[3], b0, b1};
  const LaneSlot* slots = Exchange(mine, sizeof mine);
  const auto half = [](uint32_t pair, int h) { return h ? HighFloat(pair) : LowFloat(pair); };
  const int row = static_cast<int>(Lane() / 4), column = static_cast<int>(Lane() % 4 * 2);
  for (int i = 0; i < 4; ++i) {
    const int high_row = i / 2, c = column + i % 2;  // c0 c1: row, c2 c3: row + 8
    float sum = d[i];
    for (int k = 0; k < 16; ++k) {
      const float x = half(slots[row * 4 + k % 8 / 2].word[high_row + k / 8 * 2], k % 2);
      const float y = half(slots[c * 4 + k % 8 / 2].word[4 + k / 8], k % 2);
      sum = fmaf(x, y, sum);
    }
    d[i] = sum;
  }
}

inline void WaitForPredecessor() {}
inline void AllowSuccessor() {}

#endif

TW_DEVICE float WarpSum(float v) {
  TW_UNROLL
  for (int mask = 16; mask > 0; mask >>= 1) v += ShuffleXor(v, mask);
  return v;
}
TW_DEVICE float WarpMax(float v) {
  TW_UNROLL
  for (int mask = 16; mask > 0; mask >>= 1) v = fmaxf(v, ShuffleXor(v, mask));
  return v;
}

}  // namespace tokenworks::simt

// SPDX-License-Identifier: Apache-2.0
// Activations in 32-blocks of int8, or of 15 bits (wide): what every quantised matrix product
// reads.
#pragma once

#include <cstdint>
#include <vector>

namespace tokenworks::kernels {

inline constexpr int kQuantBlock = 32;
// Blocks whose largest magnitude is below become zero: 127 / a stays finite and dw * d normal.
inline constexpr float kQuantZeroBelow = 8.0779356694631609e-28f;  // 2^-90

// A wide row's integer is 128 q + low.
inline constexpr int kWideFactor = 128;

// One token's row of k values. Below, Q is the row's integer: q, or 128 q + low in a wide row.
struct ActivationRow {
  int8_t* q;     // [k], -127 .. 127
  int8_t* low;   // [k], -64 .. 64; null in a row that is not wide
  float* d;      // [k/32] scale of Q
  float* s;      // [k/32] d * sum(Q)
  int32_t* sum;  // [k/32] sum(Q)
};

// Rows of several tokens, one matrix input; owned by the executor's scratch.
class Activations {
 public:
  void Resize(int tokens, int k, bool wide = false) {
    k_ = k;
    blocks_ = k / kQuantBlock;
    wide_ = wide;
    const size_t n = static_cast<size_t>(tokens), values = n * static_cast<size_t>(k),
                 blocks = n * static_cast<size_t>(blocks_);
    if (q_.size() < values) q_.resize(values);
    if (wide && low_.size() < values) low_.resize(values);
    if (d_.size() < blocks) {
      d_.resize(blocks);
      s_.resize(blocks);
      sum_.resize(blocks);
    }
  }
  ActivationRow row(int token) {
    const size_t at = static_cast<size_t>(token) * static_cast<size_t>(k_),
                 b = static_cast<size_t>(token) * static_cast<size_t>(blocks_);
    return {q_.data() + at, wide_ ? low_.data() + at : nullptr, d_.data() + b, s_.data() + b, sum_.data() + b};
  }
  const int8_t* q(int token) const { return q_.data() + static_cast<size_t>(token) * k_; }
  const int8_t* low(int token) const { return low_.data() + static_cast<size_t>(token) * k_; }
  const float* d(int token) const { return d_.data() + static_cast<size_t>(token) * blocks_; }
  const float* s(int token) const { return s_.data() + static_cast<size_t>(token) * blocks_; }
  const int32_t* sum(int token) const { return sum_.data() + static_cast<size_t>(token) * blocks_; }
  bool wide() const { return wide_; }
  int k() const { return k_; }
  int blocks() const { return blocks_; }

 private:
  int k_ = 0, blocks_ = 0;
  bool wide_ = false;
  std::vector<int8_t> q_, low_;
  std::vector<float> d_, s_;
  std::vector<int32_t> sum_;
};

}  // namespace tokenworks::kernels

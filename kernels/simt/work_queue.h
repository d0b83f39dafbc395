// SPDX-License-Identifier: Apache-2.0
// What a stream handle points to where kernels run on the CPU.
#pragma once

#include <functional>

namespace tokenworks::simt {

// Runs what is enqueued in order, at any time after.
class WorkQueue {
 public:
  virtual ~WorkQueue() = default;
  virtual void Enqueue(std::function<void()> work) = 0;
};

}  // namespace tokenworks::simt

// SPDX-License-Identifier: Apache-2.0
// An eventfd that other threads ring and one thread polls.
#pragma once

#include "platform/base/unique_fd.h"

namespace tokenworks::base {

class WakeEvent {
 public:
  WakeEvent();
  // Thread-safe; makes fd() readable.
  void Ring();
  // Makes fd() unreadable again.
  void Clear();
  int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

}  // namespace tokenworks::base

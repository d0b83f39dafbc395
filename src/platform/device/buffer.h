// SPDX-License-Identifier: Apache-2.0
// Device memory with one owner, typed.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "platform/device/device.h"

namespace tokenworks::device {

// Freed with the last owner; the device must outlive it, and the stream must have passed its uses.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(device_, other.device_), std::swap(data_, other.data_), std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() {
    if (data_) device_->Free(data_);
  }

  static StatusOr<Buffer> Create(Device& device, size_t size) {
    StatusOr<void*> memory = device.Allocate(size * sizeof(T));
    if (!memory.ok()) return memory.status();
    Buffer b;
    b.device_ = &device, b.data_ = static_cast<T*>(*memory), b.size_ = size;
    return b;
  }

  T* data() const { return data_; }
  size_t size() const { return size_; }
  size_t bytes() const { return size_ * sizeof(T); }

  Status Upload(std::span<const T> from, Stream stream) {
    return device_->Copy(data_, from.data(), from.size_bytes(), stream);
  }
  Status Download(std::span<T> to, Stream stream) const {
    TW_RETURN_IF_ERROR(device_->Copy(to.data(), data_, to.size_bytes(), stream));
    return device_->Synchronize(stream);
  }

 private:
  Device* device_ = nullptr;
  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace tokenworks::device

// SPDX-License-Identifier: Apache-2.0
// Pinned host memory and events with one owner.
#pragma once

#include <utility>

#include "platform/device/device.h"

namespace tokenworks::device {

// Freed with the last owner; the device must outlive it, and the stream must have passed its uses.
template <class T>
class Pinned {
 public:
  Pinned() = default;
  Pinned(Pinned&& other) noexcept { *this = std::move(other); }
  Pinned& operator=(Pinned&& other) noexcept {
    std::swap(device_, other.device_), std::swap(data_, other.data_), std::swap(size_, other.size_);
    return *this;
  }
  ~Pinned() {
    if (data_ != nullptr) device_->FreePinned(data_);
  }

  static StatusOr<Pinned> Create(Device& device, size_t size) {
    StatusOr<void*> memory = device.AllocatePinned(size * sizeof(T));
    if (!memory.ok()) return memory.status();
    Pinned p;
    p.device_ = &device, p.data_ = static_cast<T*>(*memory), p.size_ = size;
    return p;
  }

  T* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  Device* device_ = nullptr;
  T* data_ = nullptr;
  size_t size_ = 0;
};

class OwnedEvent {
 public:
  OwnedEvent() = default;
  OwnedEvent(OwnedEvent&& other) noexcept { *this = std::move(other); }
  OwnedEvent& operator=(OwnedEvent&& other) noexcept {
    std::swap(device_, other.device_), std::swap(event_, other.event_);
    return *this;
  }
  ~OwnedEvent() {
    if (device_ != nullptr) device_->Destroy(event_);
  }

  static StatusOr<OwnedEvent> Create(Device& device) {
    TW_ASSIGN_OR_RETURN(const Event event, device.CreateEvent());
    OwnedEvent e;
    e.device_ = &device, e.event_ = event;
    return e;
  }

  Event get() const { return event_; }

 private:
  Device* device_ = nullptr;
  Event event_;
};

}  // namespace tokenworks::device

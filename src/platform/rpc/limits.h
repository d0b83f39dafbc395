// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace tokenworks::rpc {

inline constexpr int kMaxMessageBytes = 64 << 20;  // of one gRPC message between our own processes

}  // namespace tokenworks::rpc

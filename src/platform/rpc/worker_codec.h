// SPDX-License-Identifier: Apache-2.0
// worker_protocol.h to proto/worker.proto and back.
#pragma once

#include "tokenworks/worker_protocol.h"
#include "worker.pb.h"

namespace tokenworks::rpc {

void ToWire(const ToWorker& in, TimePoint now, worker::ToWorker* out);
// InvalidArgument for an unknown kind or value: of a newer or a broken sender.
StatusOr<ToWorker> FromWire(const worker::ToWorker& in, TimePoint now);

// Appends to `out`: deltas and ended requests gather, hello and report are replaced.
void AppendToWire(const FromWorker& in, worker::FromWorker* out);
StatusOr<FromWorker> FromWire(const worker::FromWorker& in);

}  // namespace tokenworks::rpc

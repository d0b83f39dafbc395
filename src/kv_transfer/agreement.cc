// SPDX-License-Identifier: Apache-2.0
#include "kv_transfer/agreement.h"

#include "kv_transfer/convert.h"
#include "platform/base/str_cat.h"

namespace tokenworks::kv_transfer {

Status CheckAgreement(const PeerHello& own, const PeerHello& theirs) {
  const auto differs = [&](const char* field, const auto& ours, const auto& other) {
    return absl::FailedPreconditionError(base::StrCat("hand-off from ", theirs.worker, " to ", own.worker,
                                                      " refused: the ", field, " differs (", other, " there, ", ours,
                                                      " here); start both from one model file and one build"));
  };
  if (theirs.protocol_max < own.protocol_min || theirs.protocol_min > own.protocol_max)
    return differs("protocol range", own.protocol_max, theirs.protocol_max);
  if (theirs.receiver != own.incarnation) return differs("incarnation", own.incarnation, theirs.receiver);
  if (theirs.weight_digest != own.weight_digest)
    return differs("weight digest", own.weight_digest, theirs.weight_digest);
  const size_t layers = theirs.layout.layers.size();
  if (theirs.group_layers < 1 || static_cast<size_t>(theirs.group_layers) > layers)
    return differs("layers of a push", base::StrCat("1 to ", layers), theirs.group_layers);
  if (theirs.layout == own.layout) {
    if (theirs.numerics_id != own.numerics_id) return differs("numerics id", own.numerics_id, theirs.numerics_id);
    return OkStatus();
  }
  if (const Status possible = CheckConvertible(theirs.layout, own.layout); !possible.ok())
    return absl::FailedPreconditionError(
        base::StrCat("hand-off from ", theirs.worker, " to ", own.worker,
                     " refused: the KV layout differs and cannot be converted: ", std::string(possible.message())));
  return OkStatus();
}

}  // namespace tokenworks::kv_transfer

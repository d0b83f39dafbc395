// SPDX-License-Identifier: Apache-2.0
// A Generate call as the client asked for it, checked. Free of gRPC.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "inference.pb.h"
#include "text/tokenizer.h"
#include "tokenworks/generation_request.h"
#include "tokenworks/status.h"

namespace tokenworks::grpc_frontend {

struct CheckedRequest {
  GenerationRequest request;  // id, epoch and external_id are not set; max_tokens = INT32_MAX when not given
  bool seed_given = false;
  std::vector<std::string> stops;
  bool include_stop = false;
};

// InvalidArgument names the field, what it is and what it may be. The model's name is the caller's to check.
StatusOr<CheckedRequest> Check(const v1::GenerateRequest& in, const text::Tokenizer& tokenizer);

}  // namespace tokenworks::grpc_frontend

// SPDX-License-Identifier: Apache-2.0
// The tokens of one Generate call as response messages. Free of gRPC.
#pragma once

#include <string>
#include <vector>

#include "frontend/grpc/generate_request.h"
#include "inference.pb.h"
#include "token_stream/choice.h"
#include "tokenworks/token_sink.h"

namespace tokenworks::grpc_frontend {

class Answer {
 public:
  Answer(std::string request_id, const CheckedRequest& request, const text::Tokenizer& tokenizer);

  // Appends what `delta` adds. Returns the sequence's kept tokens when a stop string ended it (the worker does not
  // know yet), else -1.
  int64_t Add(const TokenDelta& delta, v1::GenerateResponse* out);
  // Ok when the request is complete: its own status, but a cancel after all sequences have finished is none.
  Status Finish(const RequestSummary& summary, v1::GenerateResponse* out);

 private:
  const std::string request_id_;
  const int prompt_tokens_;
  const bool logprobs_;
  std::vector<token_stream::Choice> choices_;
};

}  // namespace tokenworks::grpc_frontend

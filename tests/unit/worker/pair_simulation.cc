// SPDX-License-Identifier: Apache-2.0
#include "pair_simulation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "platform/base/str_cat.h"

namespace tokenworks::worker {

using base::StrCat;

SimulatedWorker::SimulatedWorker(const std::string& id, WorkerRole role, Incarnation incarnation,
                                 const ContextHashOptions& executor, const kv_transfer::HandoffOptions& handoff,
                                 kv_transfer::LocalHub& hub, const ManualClock& clock)
    : clock_(clock), executor_(executor), transport_(hub) {
  WorkerOptions options;
  options.id = id;
  options.role = role;
  options.incarnation = incarnation;
  options.peer_socket_path = StrCat(id, "@", incarnation);
  options.handoff = handoff;
  options.chunk_tokens_max = 32;
  options.step_rows_max = 64;
  core_ = std::make_unique<WorkerCore>(options, executor_, &transport_, [this](const std::shared_ptr<PeerLink>& link) {
    links_.push_back(link);
    std::weak_ptr<PeerLink> weak = link;
    link->connection->Start({[this, weak](kv_transfer::PeerMessage m) {
                               if (const auto l = weak.lock()) core_->OnPeerMessage(l, m, clock_.Now());
                             },
                             [this, weak] {
                               if (const auto l = weak.lock()) core_->OnPeerClosed(l, clock_.Now());
                             }});
  });
  executor_.SetLayerGroupListener([this](uint64_t plan, int group) { core_->OnLayerGroup(plan, group, clock_.Now()); });
  (void)transport_.Listen(options.peer_socket_path, [this](std::shared_ptr<kv_transfer::PeerConnection> connection) {
    auto link = std::make_shared<PeerLink>();
    link->connection = std::move(connection);
    core_->OnPeerConnected(std::move(link));
  });
}

bool SimulatedWorker::Step() {
  Tick();  // as the control thread does every turn
  while (auto plan = core_->NextPlan(clock_.Now())) {
    in_flight_.push_back(plan->id);
    EXPECT_TRUE(executor_.Submit(std::move(*plan)).ok());
  }
  if (in_flight_.empty()) return false;
  const uint64_t id = in_flight_.front();
  in_flight_.pop_front();
  core_->OnStepDone(id, executor_.Collect(), clock_.Now());
  return true;
}

void SimulatedWorker::CloseLinks() {
  for (const auto& weak : links_)
    if (const auto link = weak.lock()) link->connection->Close();
  links_.clear();
}

void SimulatedWorker::Drain() {
  while (auto message = core_->TakeOutput(clock_.Now())) {
    deltas.insert(deltas.end(), message->deltas.begin(), message->deltas.end());
    ended.insert(ended.end(), message->ended.begin(), message->ended.end());
    if (message->deltas.empty() && message->ended.empty()) break;  // a report alone
  }
}

WorkerReport SimulatedWorker::Report() {
  for (int i = 0; i < 3; ++i)
    if (auto message = core_->TakeOutput(clock_.Now() + std::chrono::seconds(2 * (i + 1))); message && message->report)
      return *message->report;
  return {};
}

SimulatedPair::SimulatedPair(uint64_t seed, kv_transfer::HandoffOptions handoff, int kv_blocks) : random(seed) {
  executor.kv_blocks = kv_blocks;
  executor.context_length = kv_blocks * kBlockTokens;
  executor.depth = 1 + static_cast<int>(seed % 2);
  // The least memory, where each piece is a push that waits for replies, or enough that pushes carry up to four pieces.
  handoff.staging_bytes = seed % 3 == 0 ? 1 : 16 * kPieceBytes;
  prefill = std::make_unique<SimulatedWorker>("prefill-0", WorkerRole::kPrefill, 11, executor, handoff, hub, clock);
  decode = std::make_unique<SimulatedWorker>("decode-0", WorkerRole::kDecode, 12, executor, handoff, hub, clock);
}

RequestId SimulatedPair::Submit(Route route) {
  GenerationRequest r;
  r.id = {next_id++};
  r.epoch = 1;
  const int length = 1 + static_cast<int>(Pick(90));
  const TokenId shared = static_cast<TokenId>(1 + Pick(3));  // some prompts share prefixes
  for (int i = 0; i < length; ++i) r.prompt.push_back(i < 40 ? shared * 100 + i : static_cast<TokenId>(1 + Pick(900)));
  r.n = Pick(4) == 0 ? 3 : 1;
  r.sampling.temperature = Pick(2) ? 1.f : 0.f;
  r.sampling.seed = random();
  r.sampling.max_tokens = 1 + static_cast<int>(Pick(20));
  r.sampling.ignore_eos = Pick(2) == 0;
  Request& kept = requests[r.id];
  kept.request = r;
  kept.tokens.resize(r.n);
  kept.local = route == Route::kLocal;
  (kept.local ? decode : prefill)->Assign(r, route, decode->address());
  return r.id;
}

void SimulatedPair::Cancel(RequestId id, std::optional<uint32_t> sequence) {
  requests.at(id).cancelled = true;
  prefill->Cancel(id, sequence);
  decode->Cancel(id, sequence);
}

bool SimulatedPair::Once() {
  clock.Advance(std::chrono::milliseconds(1));
  const size_t first = Pick(3);
  for (size_t i = 0; i < 6; ++i) {  // twice: a step that plans nothing may still send a message
    bool did = false;
    if ((first + i) % 3 == 0)
      did = hub.DeliverOne([this](size_t n) { return Pick(n); });
    else
      did = ((first + i) % 3 == 1 ? prefill : decode)->Step();
    if (did) return true;
  }
  return false;
}

void SimulatedPair::RunDry() {
  for (int idle = 0; idle < 4;) {
    if (Once()) {
      idle = 0;
      continue;
    }
    ++idle;
    clock.Advance(std::chrono::seconds(61));
    prefill->Tick();
    decode->Tick();
  }
  Collect();
}

void SimulatedPair::Collect() {
  Take(*prefill, true);
  Take(*decode, false);
}

void SimulatedPair::Take(SimulatedWorker& worker, bool is_prefill) {
  worker.Drain();
  for (const TokenDelta& d : worker.deltas) {
    EXPECT_TRUE(!is_prefill || d.position == 0) << "the prefill worker goes on where the decode worker must";
    TakeDelta(d);
  }
  for (const RequestEnded& e : worker.ended) TakeEnd(e, is_prefill);
  worker.deltas.clear();
  worker.ended.clear();
}

// As the router's token log does: duplicates are dropped, gaps are a problem. Then every token is compared.
void SimulatedPair::TakeDelta(const TokenDelta& d) {
  Request& r = requests.at(d.request);
  std::vector<TokenId>& log = r.tokens.at(d.sequence);
  const auto expected = ContextHashExecutor::Expected(executor, r.request.prompt, r.request.sampling, d.sequence);
  for (size_t i = 0; i < d.tokens.size(); ++i) {
    const size_t position = d.position + i;
    if (position > log.size())
      problems.push_back(StrCat("request ", d.request.value, " sequence ", d.sequence, ": token ", position,
                                " came before token ", log.size()));
    if (position >= expected.size() || expected[position] != d.tokens[i].token)
      problems.push_back(
          StrCat("request ", d.request.value, " sequence ", d.sequence, ": token ", position, " is wrong"));
    if (position == log.size()) log.push_back(d.tokens[i].token);
  }
}

void SimulatedPair::TakeEnd(const RequestEnded& e, bool is_prefill) {
  Request& r = requests.at(e.request);
  bool& ended = is_prefill ? r.prefill_ended : r.decode_ended;
  if (ended) problems.push_back(StrCat("request ", e.request.value, " ended twice on one worker"));
  ended = true;
  if (is_prefill) r.handed_off = e.handed_off;
  if (!e.status.ok()) r.status = e.status;
}

}  // namespace tokenworks::worker

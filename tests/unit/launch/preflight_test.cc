// SPDX-License-Identifier: Apache-2.0
// A preflight finds every problem at once and says what to do about it.
#include "launch/preflight/preflight.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "launch/preflight/machine.h"
#include "launch/run_folder.h"
#include "platform/base/unique_fd.h"
#include "temporary_folder.h"

namespace tokenworks::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Facts SoundFacts() {
  Facts f;
  f.ports = {{"http", "127.0.0.1", 8000, "", ""}, {"grpc", "127.0.0.1", 0, "", ""}};
  f.model = {OkStatus(), "m.gguf", "m", 100u << 20, 300u << 20, 200u << 20, 368'640, 8192};
  f.machine.total_bytes = f.machine.available_bytes = uint64_t{16} << 30;
  f.machine.kv_default_bytes = uint64_t{1} << 30;
  f.machine.open_files_max = 1024;
  f.machine.kernels = "avx2";
  return f;
}

Finding Find(const std::vector<Finding>& findings, const std::string& subject) {
  const auto it =
      std::find_if(findings.begin(), findings.end(), [&](const Finding& f) { return f.subject == subject; });
  return it == findings.end() ? Finding{Severity::kOk, "", "absent"} : *it;
}

TEST(Preflight, NothingToSayAboutASoundMachine) {
  for (const Finding& f : Examine({}, SoundFacts()))
    EXPECT_EQ(f.severity, Severity::kOk) << f.subject << ": " << f.sentence;
  EXPECT_TRUE(Errors(Examine({}, SoundFacts())).ok());
}

// Two GPUs of which the second has little left.
HostGpus TwoGpus() {
  return {OkStatus(),
          {{0, "GPU-a", "H200", uint64_t{140} << 30, 768u << 20}, {2, "GPU-c", "A100", 2u << 30, 768u << 20}},
          {}};
}

TEST(Preflight, EveryGpuThatAWorkerGetsIsExamined) {
  ClusterConfig c = LocalGpuConfig(2);
  Facts f = SoundFacts();
  f.machine.available_bytes = 300u << 20;  // neither weights nor KV of the workers are the host's
  f.gpus = TwoGpus();
  EXPECT_EQ(Find(Examine(c, f), "memory").severity, Severity::kOk) << Find(Examine(c, f), "memory").sentence;
  EXPECT_EQ(Find(Examine(c, f), "gpu cuda:0").sentence,
            "H200 for mixed-0: weights 300 MiB + workspace 200 MiB + contexts 768 MiB + KV at least 1 MiB = 1269 MiB; "
            "143360 MiB are free");
  EXPECT_EQ(Find(Examine(c, f), "gpu cuda:2").severity, Severity::kOk);
  c.mixed.kv_memory = 1u << 30;
  EXPECT_EQ(Find(Examine(c, f), "gpu cuda:0").severity, Severity::kOk);
  EXPECT_EQ(Find(Examine(c, f), "gpu cuda:2").severity, Severity::kError);
  EXPECT_THAT(Find(Examine(c, f), "gpu cuda:2").sentence,
              HasSubstr("= 2292 MiB; 2048 MiB are free; lower pools.*.kv_memory"));
  c.mixed.replicas = 1;
  EXPECT_EQ(Find(Examine(c, f), "gpu cuda:2").sentence, "absent") << "nobody gets it";
}

TEST(Preflight, WorkersOfOneGpuAreCountedTogetherAndSayTheirKvMemory) {
  ClusterConfig c;
  c.prefill = {.replicas = 2, .device = "cuda"};
  c.decode = {.replicas = 1, .device = "cuda"};
  Facts f = SoundFacts();
  f.gpus = TwoGpus();
  f.gpus.usable.pop_back();
  EXPECT_EQ(Find(Examine(c, f), "gpu cuda:0").severity, Severity::kError);
  EXPECT_THAT(Find(Examine(c, f), "gpu cuda:0").sentence,
              AllOf(HasSubstr("prefill-0, prefill-1, decode-0 share H200"),
                    HasSubstr("set pools.prefill.kv_memory, pools.decode.kv_memory, such as")));
  c.prefill.kv_memory = uint64_t{40} << 30;
  EXPECT_THAT(Find(Examine(c, f), "gpu cuda:0").sentence, HasSubstr("; set pools.decode.kv_memory, such as"));
  c.decode.kv_memory = uint64_t{40} << 30;
  EXPECT_EQ(Find(Examine(c, f), "gpu cuda:0").severity, Severity::kOk);
  c.decode.kv_memory = uint64_t{60} << 30;
  EXPECT_EQ(Find(Examine(c, f), "gpu cuda:0").severity, Severity::kError) << "40 + 40 + 60 GiB and the weights";
}

TEST(Preflight, AHostWithoutAGpuIsAnErrorWhereAPoolWantsOne) {
  ClusterConfig c = LocalGpuConfig(1);
  Facts f = SoundFacts();
  f.gpus = {absl::NotFoundError("no CUDA device 0"), {}, {}};
  EXPECT_EQ(Find(Examine(c, f), "gpu").severity, Severity::kError);
  EXPECT_THAT(Find(Examine(c, f), "gpu").sentence, HasSubstr("no CUDA device 0"));
  EXPECT_EQ(Find(Examine({}, f), "gpu").sentence, "absent");
  f.gpus = TwoGpus();
  f.gpus.unusable = {"device 1 is not used: T4 is sm_75"};
  EXPECT_EQ(Find(Examine(c, f), "gpu").severity, Severity::kWarning);
}

TEST(Preflight, AKeyOfAPoolWithoutWorkersIsAWarning) {
  ClusterConfig c;
  ASSERT_TRUE(SetKey(c, "pools.mixed.device", "cuda").ok());
  ASSERT_TRUE(SetKey(c, "pools.mixed.kv_memory", "0").ok());  // the default: a whole reference file says nothing
  ASSERT_TRUE(SetKey(c, "pools.decode.threads", "1").ok());
  EXPECT_EQ(Find(Examine(c, SoundFacts()), "pools").severity, Severity::kWarning);
  EXPECT_EQ(Find(Examine(c, SoundFacts()), "pools").sentence,
            "pools.mixed.device is set but pools.mixed.replicas is 0: nothing runs there");
  ASSERT_TRUE(SetKey(c, "pools.mixed.threads", "2").ok());
  EXPECT_EQ(Find(Examine(c, SoundFacts()), "pools").sentence,
            "pools.mixed.threads, pools.mixed.device are set but pools.mixed.replicas is 0: nothing runs there");
  ASSERT_TRUE(SetKey(c, "pools.mixed.replicas", "1").ok());
  EXPECT_EQ(Find(Examine(c, SoundFacts()), "pools").sentence, "absent");
  ClusterConfig gpu = LocalGpuConfig(1);  // whose device nobody has set
  ASSERT_TRUE(SetKey(gpu, "pools.mixed.replicas", "0").ok());
  EXPECT_EQ(Find(Examine(gpu, SoundFacts()), "pools").sentence, "absent");
}

TEST(Preflight, MemoryIsASumOverWorkers) {
  Facts f = SoundFacts();
  ClusterConfig c;
  c.decode.replicas = 3;
  f.machine.available_bytes = uint64_t{4} << 30;
  const Finding found = Find(Examine(c, f), "memory");
  EXPECT_EQ(found.severity, Severity::kError);
  EXPECT_THAT(found.sentence, HasSubstr("weights 400 MiB + KV 4096 MiB"));
  EXPECT_THAT(found.sentence, HasSubstr("4096 MiB are available; lower pools.*.kv_memory"));
  c.decode.kv_memory = c.prefill.kv_memory = 64u << 20;
  EXPECT_EQ(Find(Examine(c, f), "memory").severity, Severity::kOk);
}

TEST(Preflight, APoolSmallerThanTheContextIsAWarningAndOneTooSmallAnError) {
  Facts f = SoundFacts();
  ClusterConfig c;
  c.decode.kv_memory = 100 * f.model.kv_block_bytes;
  Finding found = Find(Examine(c, f), "context");
  EXPECT_EQ(found.severity, Severity::kWarning);
  EXPECT_THAT(found.sentence, HasSubstr("holds 1600 tokens, the model's context is 8192"));
  c.context_length = 1600;
  EXPECT_EQ(Find(Examine(c, f), "context").severity, Severity::kOk);
  c.decode.kv_memory = f.model.kv_block_bytes;
  found = Find(Examine(c, f), "context");
  EXPECT_EQ(found.severity, Severity::kError);
  EXPECT_THAT(found.sentence, HasSubstr("pools.decode.kv_memory"));
}

TEST(Preflight, AllErrorsAreSaidAtOnce) {
  Facts f = SoundFacts();
  f.ports[0].problem = "the port is in use";
  f.ports[0].holder = "python3 (process 12)";
  f.model.status = absl::InvalidArgumentError("x is a folder; name a .gguf file inside it");
  f.machine.kernels_problem = "engine.kernels 'x' is unknown";
  f.machine.shared_memory_problem = "no memfd";
  f.machine.run_folder_problem = "cannot be written";
  f.machine.step_log_problem = "no folder";
  f.machine.open_files_max = 100;
  ClusterConfig c;
  c.step_log = "/x/y";
  const auto findings = Examine(c, f);
  const std::string all(Errors(findings).message());
  for (const char* part :
       {"listening on 127.0.0.1:8000: the port is in use, held by python3 (process 12); choose another with --port",
        "is a folder", "engine.kernels", "no memfd", "run folder", "step log"})
    EXPECT_THAT(all, HasSubstr(part));
  EXPECT_EQ(Find(findings, "open files").severity, Severity::kWarning);
  EXPECT_EQ(Find(findings, "context").severity, Severity::kOk);
}

TEST(Machine, AvailableMemoryIsTheSmallerOfMachineAndGroup) {
  const std::string meminfo = "MemTotal:       2000 kB\nMemAvailable:    1000 kB\n";
  EXPECT_EQ(AvailableBytes(meminfo, "max\n", "5\n"), 1'024'000u);
  EXPECT_EQ(AvailableBytes(meminfo, "", ""), 1'024'000u);
  EXPECT_EQ(AvailableBytes(meminfo, "500000\n", "100000\n"), 400'000u);
  EXPECT_EQ(AvailableBytes(meminfo, "5000", "6000"), 0u);
  EXPECT_EQ(AvailableBytes("", "5000", "1000"), 4000u);
  EXPECT_EQ(AvailableBytes("", "", ""), 0u);
}

TEST(Machine, ATakenPortNamesItsHolder) {
  const base::UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(fd.get(), 1), 0);
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  const PortFacts taken = ProbePort("http", "127.0.0.1", ntohs(address.sin_port));
  EXPECT_EQ(taken.problem, "the port is in use");
  EXPECT_THAT(taken.holder, HasSubstr("(process " + std::to_string(getpid()) + ")"));
  EXPECT_EQ(ProbePort("http", "localhost", 0).problem, "");
  EXPECT_THAT(ProbePort("http", "nowhere.example", 0).problem, HasSubstr("no IP address"));
  EXPECT_NE(ProbePort("http", "192.0.2.1", 0).problem, "");
}

TEST(Machine, FoldersThatCannotBeWrittenAreFound) {
  const TemporaryFolder folder;
  ClusterConfig c;
  c.step_log = folder.File("file", "") + "/log";
  MachineFacts m = ProbeMachine(c, folder.path() + "/run/local");
  EXPECT_EQ(m.run_folder_problem, "");
  EXPECT_THAT(m.step_log_problem, HasSubstr("is not a folder"));
  EXPECT_GT(m.available_bytes, 0u);
  EXPECT_GT(m.open_files_max, 0u);
  EXPECT_EQ(m.shared_memory_problem, "");
  m = ProbeMachine({}, folder.path() + "/file/run");
  EXPECT_THAT(m.run_folder_problem, HasSubstr("TOKENWORKS_HOME"));
  RunFolder taken(folder.path() + "/run/taken");
  ASSERT_TRUE(taken.Claim().ok());
  EXPECT_THAT(ProbeMachine({}, taken.path()).run_folder_problem, HasSubstr("a cluster 'taken' already runs"));
}

}  // namespace
}  // namespace tokenworks::launch

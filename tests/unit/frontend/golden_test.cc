// SPDX-License-Identifier: Apache-2.0
// Whole HTTP transcripts against tests/golden/http/*.txt: a request body, a line of dashes, the answer with its chunks
// joined. TOKENWORKS_WRITE_GOLDENS=1 writes the answers anew.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "fake_backend.h"

namespace tokenworks::openai_http {
namespace {

std::string Joined(const std::string& answer) {
  const size_t end = answer.find("\r\n\r\n") + 4;
  std::string head = answer.substr(0, end), body = answer.substr(end), out;
  if (head.find("chunked") != std::string::npos) {
    for (size_t at = 0; at < body.size();) {
      const size_t line = body.find("\r\n", at);
      const size_t size = std::stoul(body.substr(at, line - at), nullptr, 16);
      out += body.substr(line + 2, size);
      at = line + 2 + size + 2;
    }
    body = out;
  }
  std::erase(head, '\r');
  return head + body;
}

TEST(Golden, Transcripts) {
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator("tests/golden/http")) {
    std::ifstream file(entry.path());
    std::stringstream text;
    text << file.rdbuf();
    const std::string all = text.str(), mark = "\n--------\n";
    const size_t cut = all.find(mark), line = all.find('\n');
    ASSERT_NE(cut, std::string::npos) << entry.path();
    Service service;
    const std::string answer = Joined(service.Ask(http::Post(all.substr(0, line), all.substr(line + 1, cut - line - 1),
                                                             "X-Request-ID: golden\r\n"))) +
                               "\n";
    if (std::getenv("TOKENWORKS_WRITE_GOLDENS"))
      std::ofstream(entry.path()) << all.substr(0, cut) << mark << answer;
    else
      EXPECT_EQ(answer, all.substr(cut + mark.size())) << entry.path();
    ++seen;
  }
  EXPECT_GE(seen, 8);
}

}  // namespace
}  // namespace tokenworks::openai_http

// SPDX-License-Identifier: Apache-2.0
// Includes go down only (ARCHITECTURE.md, "Layers"), and some libraries stay behind their fence.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace {

namespace fs = std::filesystem;

struct Layer {
  const char* folder;
  int level;
};
// First match wins. Folders of one level above 40 never include each other; below, they may.
constexpr Layer kLayers[] = {{"src/apps", 60},     {"src/frontend", 50},    {"src/router", 41},
                             {"src/worker", 42},   {"src/launch", 43},      {"src/kv_transfer", 30},
                             {"src/engine", 30},   {"src/text", 20},        {"src/token_stream", 20},
                             {"src/kv_index", 20}, {"src/model_files", 20}, {"src/platform/base", 0},
                             {"src/platform", 10}, {"kernels", 10},         {"include/tokenworks", 0}};

const Layer* LayerOf(const std::string& path) {
  for (const Layer& l : kLayers)
    if (path.rfind(std::string(l.folder) + "/", 0) == 0) return &l;
  return nullptr;
}

bool Allowed(const Layer& from, const Layer& to) {
  if (std::string(from.folder) == to.folder) return true;
  const bool service = from.level > 40 && from.level < 50;
  return service ? to.level < 40 : to.level <= from.level;
}

// What an include line names, with its opening quote or bracket; empty for other lines.
std::string Included(const std::string& line) {
  constexpr std::string_view kStart = "#include ";
  if (line.rfind(kStart, 0) != 0) return {};
  const size_t end = line.find_first_of("\">", kStart.size() + 1);
  return line.substr(kStart.size(), end - kStart.size());
}

struct Fence {
  const char* include;
  const char* folder;
};
constexpr Fence kFences[] = {
    {"<CLI/", "src/apps/"}, {"<boost/asio", "src/platform/http/"}, {"<grpcpp/", "src/platform/rpc/"}};

TEST(Repository, IncludesGoDownOnly) {
  int files = 0;
  for (const char* top : {"src", "kernels", "include"})
    for (const auto& entry : fs::recursive_directory_iterator(top)) {
      const std::string path = entry.path().string();
      if (entry.path().extension() != ".cc" && entry.path().extension() != ".h") continue;
      ++files;
      const Layer* from = LayerOf(path);
      ASSERT_NE(from, nullptr) << path << " is in no layer";
      std::ifstream in(path);
      for (std::string line; std::getline(in, line);) {
        const std::string included = Included(line);
        for (const Fence& f : kFences) {
          if (included.rfind(f.include, 0) == 0 && path.rfind("_service.cc") == std::string::npos) {
            EXPECT_EQ(path.rfind(f.folder, 0), 0u) << path << ": " << line << " is outside its fence";
          }
        }
        if (included.empty() || included[0] != '"') continue;
        const std::string name = included.substr(1);
        if (name.rfind("absl/", 0) == 0) continue;
        if (name.ends_with(".pb.h")) {  // generated from proto/, where the services meet
          EXPECT_TRUE(!name.ends_with(".grpc.pb.h") || path.rfind("src/platform/rpc/", 0) == 0 ||
                      path.ends_with("_service.cc"))
              << path << ": " << line << " is outside its fence";
          continue;
        }
        const std::string target = name.rfind("tokenworks/", 0) == 0 ? "include/" + name
                                   : name.rfind("kernels/", 0) == 0  ? name
                                                                     : "src/" + name;
        const Layer* to = LayerOf(target);
        ASSERT_NE(to, nullptr) << path << " includes " << name << " of no layer";
        EXPECT_TRUE(Allowed(*from, *to)) << path << " includes " << name << ", which lies above or beside it";
      }
    }
  EXPECT_GT(files, 80);
}

TEST(Repository, NamesSayWhatIsInside) {
  for (const char* top : {"src", "kernels", "include", "tests"})
    for (const auto& entry : fs::recursive_directory_iterator(top)) {
      std::string words = entry.path().string();
      for (char& c : words)
        if (c == '/' || c == '_' || c == '.') c = ' ';
      std::istringstream in(words);
      for (std::string word; in >> word;)
        for (const char* banned : {"util", "utils", "common", "helper", "helpers", "misc", "manager"})
          EXPECT_NE(word, banned) << entry.path();
    }
}

}  // namespace

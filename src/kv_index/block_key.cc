// SPDX-License-Identifier: Apache-2.0
#include "kv_index/block_key.h"

#include <xxhash.h>

#include <string>

namespace tokenworks::kv_index {
namespace {

BlockKey Hash(std::string_view bytes) {
  const XXH128_hash_t h = XXH3_128bits(bytes.data(), bytes.size());
  return {h.high64, h.low64};
}

// Length before content, so that no two lists of parts read alike.
void Append(std::string* out, std::string_view part) {
  const uint64_t size = part.size();
  out->append(reinterpret_cast<const char*>(&size), sizeof size);
  out->append(part);
}

}  // namespace

BlockKey RootKey(std::string_view model_fingerprint, std::string_view adapter, std::string_view tenant,
                 std::string_view salt) {
  std::string bytes;
  for (const std::string_view part : {model_fingerprint, adapter, tenant, salt}) Append(&bytes, part);
  return Hash(bytes);
}

BlockKey ChildKey(const BlockKey& parent, std::span<const TokenId> tokens, std::string_view extra) {
  std::string bytes(reinterpret_cast<const char*>(&parent), sizeof parent);
  Append(&bytes, {reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes()});
  bytes.append(extra);
  return Hash(bytes);
}

}  // namespace tokenworks::kv_index

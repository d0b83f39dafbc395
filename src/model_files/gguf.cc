// SPDX-License-Identifier: Apache-2.0
#include "model_files/gguf.h"

#include <xxhash.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "platform/base/str_cat.h"

#include "kernels/matmul/packed_matrix.h"

namespace tokenworks::model_files {
namespace {

constexpr uint64_t kMaxMetadata = 1 << 16;
constexpr uint64_t kMaxTensors = 1 << 16;
constexpr uint64_t kMaxKeyBytes = 1 << 12;
constexpr uint64_t kMaxNameBytes = 1 << 10;
constexpr int kMaxArrayDepth = 2;
constexpr uint64_t kMaxDims = 4;
constexpr uint64_t kMaxArrayElements = 1 << 22;  // of all arrays; 40 bytes each in memory, a vocabulary has some 10^6

enum GgufType : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };

}  // namespace

// Reads the header once, front to back; every read is checked against the end of the file.
class GgufParser {
 public:
  explicit GgufParser(GgufFile& out) : out_(out), bytes_(out.file_->bytes()) {}

  Status Parse() {
    uint32_t magic = 0, version = 0;
    TW_RETURN_IF_ERROR(Read(&magic, "the magic"));
    if (magic != 0x46554747) return Bad("it does not begin with the letters GGUF: it is not a GGUF model file");
    TW_RETURN_IF_ERROR(Read(&version, "the version"));
    if (version == 0x02000000 || version == 0x03000000)
      return Bad("it is a big-endian GGUF file; little-endian ones are supported");
    if (version != 2 && version != 3)
      return Bad(base::StrCat("GGUF version ", version, "; versions 2 and 3 are supported"));
    uint64_t tensors = 0, pairs = 0;
    TW_RETURN_IF_ERROR(Read(&tensors, "the number of tensors"));
    TW_RETURN_IF_ERROR(Read(&pairs, "the number of metadata pairs"));
    if (tensors > kMaxTensors) return Bad(base::StrCat(tensors, " tensors; at most ", kMaxTensors, " are read"));
    if (pairs > kMaxMetadata) return Bad(base::StrCat(pairs, " metadata pairs; at most ", kMaxMetadata, " are read"));
    for (uint64_t i = 0; i < pairs; ++i) TW_RETURN_IF_ERROR(ParsePair());
    std::vector<uint64_t> offsets;
    for (uint64_t i = 0; i < tensors; ++i) TW_RETURN_IF_ERROR(ParseTensor(offsets));
    return Place(offsets);
  }

 private:
  // One line, whatever bytes the file's own names have.
  Status Bad(std::string_view what) const {
    std::string line = base::StrCat(what, "; fetch or convert the model again");
    std::replace_if(
        line.begin(), line.end(), [](unsigned char c) { return std::iscntrl(c); }, '?');
    return absl::InvalidArgumentError(base::StrCat("reading ", out_.file_->path(), ": ", line));
  }

  template <typename T>
  Status Read(T* value, std::string_view what) {
    if (bytes_.size() - at_ < sizeof(T))
      return Bad(base::StrCat("the file ends inside ", what, " at byte ", at_, " (cut short?)"));
    std::memcpy(value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return OkStatus();
  }

  Status ReadString(std::string* value, std::string_view what, uint64_t limit) {
    uint64_t size = 0;
    TW_RETURN_IF_ERROR(Read(&size, what));
    if (size > bytes_.size() - at_)
      return Bad(base::StrCat(what, " claims ", size, " bytes, more than the file holds"));
    if (size > limit) return Bad(base::StrCat(what, " has ", size, " bytes; at most ", limit, " are allowed"));
    value->assign(reinterpret_cast<const char*>(bytes_.data() + at_), size);
    at_ += size;
    return OkStatus();
  }

  template <typename T, typename Wide>
  Status ReadAs(GgufValue* value, const std::string& key) {
    T x{};
    TW_RETURN_IF_ERROR(Read(&x, "the value of " + key));
    value->value = static_cast<Wide>(x);
    return OkStatus();
  }

  Status ReadValue(uint32_t type, GgufValue* value, const std::string& key, int depth) {
    switch (type) {
      case kU8:
        return ReadAs<uint8_t, uint64_t>(value, key);
      case kU16:
        return ReadAs<uint16_t, uint64_t>(value, key);
      case kU32:
        return ReadAs<uint32_t, uint64_t>(value, key);
      case kU64:
        return ReadAs<uint64_t, uint64_t>(value, key);
      case kI8:
        return ReadAs<int8_t, int64_t>(value, key);
      case kI16:
        return ReadAs<int16_t, int64_t>(value, key);
      case kI32:
        return ReadAs<int32_t, int64_t>(value, key);
      case kI64:
        return ReadAs<int64_t, int64_t>(value, key);
      case kF32:
        return ReadAs<float, double>(value, key);
      case kF64:
        return ReadAs<double, double>(value, key);
      case kBool: {
        uint8_t b = 0;
        TW_RETURN_IF_ERROR(Read(&b, "the value of " + key));
        value->value = b != 0;
        return OkStatus();
      }
      case kString: {
        std::string s;
        TW_RETURN_IF_ERROR(ReadString(&s, "the value of " + key, bytes_.size()));
        value->value = std::move(s);
        return OkStatus();
      }
      case kArray:
        return ReadArray(value, key, depth);
      default:
        return Bad(base::StrCat("key ", key, " has the unknown value type ", type));
    }
  }

  Status ReadArray(GgufValue* value, const std::string& key, int depth) {
    if (depth >= kMaxArrayDepth) return Bad(base::StrCat("key ", key, ": arrays nested deeper than ", kMaxArrayDepth));
    uint32_t type = 0;
    uint64_t count = 0;
    TW_RETURN_IF_ERROR(Read(&type, "the array type of " + key));
    TW_RETURN_IF_ERROR(Read(&count, "the array length of " + key));
    if (count > bytes_.size() - at_)
      return Bad(base::StrCat("key ", key, " claims ", count, " array elements, more than the file holds"));
    if (count > kMaxArrayElements - elements_)
      return Bad(base::StrCat("key ", key, " has ", count, " array elements; at most ", kMaxArrayElements,
                              " are read from a file"));
    elements_ += count;
    GgufArray array;
    for (uint64_t i = 0; i < count; ++i) {
      GgufValue element;
      TW_RETURN_IF_ERROR(ReadValue(type, &element, key, depth + 1));
      array.push_back(std::move(element));
    }
    value->value = std::move(array);
    return OkStatus();
  }

  Status ParsePair() {
    std::string key;
    TW_RETURN_IF_ERROR(ReadString(&key, "a metadata key", kMaxKeyBytes));
    uint32_t type = 0;
    TW_RETURN_IF_ERROR(Read(&type, "the type of " + key));
    GgufValue value;
    TW_RETURN_IF_ERROR(ReadValue(type, &value, key, 0));
    if (!out_.metadata_.emplace(key, std::move(value)).second) return Bad(base::StrCat("key ", key, " appears twice"));
    return OkStatus();
  }

  Status ParseTensor(std::vector<uint64_t>& offsets) {
    GgufTensor tensor;
    TW_RETURN_IF_ERROR(ReadString(&tensor.name, "a tensor name", kMaxNameBytes));
    uint32_t dims = 0;
    TW_RETURN_IF_ERROR(Read(&dims, "tensor " + tensor.name));
    if (dims == 0 || dims > kMaxDims) return Bad(base::StrCat("tensor ", tensor.name, " has ", dims, " dimensions"));
    uint64_t elements = 1;
    for (uint32_t i = 0; i < dims; ++i) {
      uint64_t d = 0;
      TW_RETURN_IF_ERROR(Read(&d, "the shape of tensor " + tensor.name));
      if (d == 0 || d > (1u << 30) || elements > (uint64_t{1} << 42) / d)
        return Bad(base::StrCat("tensor ", tensor.name, " has the impossible dimension ", d));
      elements *= d;
      tensor.dims.push_back(d);
    }
    uint64_t offset = 0;
    TW_RETURN_IF_ERROR(Read(&tensor.type, "the type of tensor " + tensor.name));
    TW_RETURN_IF_ERROR(Read(&offset, "the offset of tensor " + tensor.name));
    if (!out_.by_name_.emplace(tensor.name, out_.tensors_.size()).second)
      return Bad(base::StrCat("tensor ", tensor.name, " appears twice"));
    offsets.push_back(offset);
    out_.tensors_.push_back(std::move(tensor));
    return OkStatus();
  }

  Status Place(const std::vector<uint64_t>& offsets) {
    uint64_t alignment = 32;
    if (out_.Has("general.alignment")) {
      alignment = out_.Unsigned("general.alignment").value_or(0);
      if (alignment == 0 || alignment > (1 << 20) || (alignment & (alignment - 1)))
        return Bad("general.alignment is not a power of two up to 1048576");
    }
    const uint64_t start = (at_ + alignment - 1) / alignment * alignment;
    for (size_t i = 0; i < offsets.size(); ++i) {
      GgufTensor& t = out_.tensors_[i];
      const uint64_t row = kernels::RowBytes(static_cast<kernels::WeightType>(t.type), static_cast<int>(t.columns()));
      if (row == 0)
        return Bad(base::StrCat("tensor ", t.name, " has type ", t.type, " with ", t.columns(),
                                " columns; supported are ", kernels::TensorTypeNames(), " in whole blocks"));
      const uint64_t size = row * t.rows();
      if (offsets[i] % alignment != 0)
        return Bad(
            base::StrCat("tensor ", t.name, " begins at offset ", offsets[i], ", not a multiple of ", alignment));
      if (start > bytes_.size() || offsets[i] > bytes_.size() - start || size > bytes_.size() - start - offsets[i])
        return Bad(base::StrCat("tensor ", t.name, " needs ", size, " bytes at offset ", offsets[i],
                                ", beyond the end of the file (cut short?)"));
      t.data = bytes_.subspan(start + offsets[i], size);
    }
    return CheckApart();
  }

  Status CheckApart() const {
    std::vector<const GgufTensor*> order;
    for (const GgufTensor& t : out_.tensors_) order.push_back(&t);
    std::stable_sort(order.begin(), order.end(),
                     [](const GgufTensor* a, const GgufTensor* b) { return a->data.data() < b->data.data(); });
    for (size_t i = 1; i < order.size(); ++i)
      if (order[i - 1]->data.data() + order[i - 1]->data.size() > order[i]->data.data())
        return Bad(base::StrCat("tensors ", order[i - 1]->name, " and ", order[i]->name, " overlap"));
    return OkStatus();
  }

  GgufFile& out_;
  std::span<const std::byte> bytes_;
  size_t at_ = 0;
  uint64_t elements_ = 0;
};

StatusOr<std::unique_ptr<GgufFile>> GgufFile::Open(const std::string& path) {
  auto file = std::make_unique<GgufFile>();
  TW_ASSIGN_OR_RETURN(file->file_, base::MappedFile::Open(path));
  TW_RETURN_IF_ERROR(GgufParser(*file).Parse());
  return file;
}

const GgufTensor* GgufFile::Find(std::string_view name) const {
  const auto it = by_name_.find(std::string(name));
  return it == by_name_.end() ? nullptr : &tensors_[it->second];
}

StatusOr<const GgufTensor*> GgufFile::Tensor(std::string_view name, int columns, int rows) const {
  const GgufTensor* t = Find(name);
  if (t == nullptr) return absl::InvalidArgumentError(base::StrCat(path(), " has no tensor ", name));
  if (t->columns() != static_cast<uint64_t>(columns) || t->rows() != static_cast<uint64_t>(rows))
    return absl::InvalidArgumentError(base::StrCat(path(), ": tensor ", name, " is ", t->columns(), " x ", t->rows(),
                                                   "; the metadata want ", columns, " x ", rows));
  return t;
}

std::string GgufFile::Digest() const {
  const auto bytes = file_->bytes();
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace tokenworks::model_files

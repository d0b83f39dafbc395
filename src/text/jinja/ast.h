// SPDX-License-Identifier: Apache-2.0
// The tree of a template.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

struct Node;
using NodePtr = std::unique_ptr<Node>;

enum class NodeKind {
  // expressions
  kConstant, kName, kList, kDict, kAttribute, kIndex, kSlice, kCall, kFilter, kTest, kUnary, kBinary, kCompare, kConditional,
  // statements
  kData, kPrint, kIf, kFor, kSet, kSetBlock, kMacro, kCallBlock, kFilterBlock, kBreak, kContinue, kBlock,
};

struct Node {
  NodeKind kind;
  int line = 0;
  std::string name;              // identifier, operator, filter, test, attribute
  Value constant;                // kConstant, kData
  std::vector<NodePtr> children;  // operands, in the order of the source (may hold null where optional)
  std::vector<std::pair<std::string, NodePtr>> named;  // keyword arguments, macro parameters
  std::vector<std::string> targets;                    // for and set targets
  std::vector<NodePtr> body, otherwise;
  bool negated = false;  // `is not`
};

// The statements of a template. Throws TemplateError with the line.
std::vector<NodePtr> Parse(std::string_view source);

}  // namespace tokenworks::text::jinja

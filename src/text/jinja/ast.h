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
using Body = std::vector<NodePtr>;

enum class NodeKind {
  // expressions
  kConstant,
  kName,
  kList,
  kTuple,
  kDict,
  kAttribute,
  kIndex,
  kSlice,
  kCall,
  kFilter,
  kTest,
  kUnary,
  kBinary,
  kCompare,
  kConditional,
  // statements
  kData,
  kPrint,
  kIf,
  kFor,
  kSet,
  kSetBlock,
  kMacro,
  kCallBlock,
  kFilterBlock,
  kScope,
  kWith,
  kBreak,
  kContinue,
};

struct Node {
  NodeKind kind;
  int line = 0;
  int height = 1;                 // of the tree below: what walks it recurses
  std::string name;               // identifier, operator, filter, test, attribute
  Value constant;                 // kConstant, kData
  std::vector<NodePtr> children;  // operands, in the order of the source (may hold null where optional)
  std::vector<std::pair<std::string, NodePtr>> named;  // keyword arguments, macro parameters
  std::vector<std::string> operators;                  // kCompare
  NodePtr extra_positional, extra_named;               // *a, **b of a call
  std::vector<Body> arms;                              // kIf: one a condition
  Body body, otherwise;
  bool negated = false;                                                 // `is not`
  bool recursive = false;                                               // for … recursive
  bool uses_varargs = false, uses_kwargs = false, uses_caller = false;  // kMacro
};

// The statements of a template. Throws TemplateError with the line, UnsupportedFeature for a tag that is not built.
Body Parse(std::string_view source);

}  // namespace tokenworks::text::jinja

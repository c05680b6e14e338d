#pragma once
#include <stddef.h>
#include <stdint.h>
namespace flatbuffers {
class Verifier {
 public:
  Verifier(const uint8_t *buf, size_t buf_len);
};
template <typename T>
struct Reading {
  using type = T;
};
template <typename T>
struct Offset {};
template <typename T>
struct Reading<Offset<T>> {
  using type = const T *;
};
template <typename T>
class Vector {
 public:
  using Value = typename Reading<T>::type;
  struct Iterator {
    Value operator*() const;
    Iterator &operator++();
    bool operator!=(const Iterator &other) const;
  };
  uint32_t size() const;
  Value Get(uint32_t i) const;
  Iterator begin() const;
  Iterator end() const;
};
}  // namespace flatbuffers
namespace tflite {
enum BuiltinOperator : int32_t { BuiltinOperator_ADD = 0 };
struct OperatorCode {};
struct Buffer {
  const flatbuffers::Vector<uint8_t> *data() const;
};
enum TensorType : int8_t { TensorType_INT32 = 2, TensorType_INT16 = 7, TensorType_INT8 = 9 };
struct Tensor {
  const flatbuffers::Vector<int32_t> *shape() const;
  TensorType type() const;
  uint32_t buffer() const;
};
struct Operator {
  uint32_t opcode_index() const;
  const flatbuffers::Vector<int32_t> *inputs() const;
  const flatbuffers::Vector<int32_t> *outputs() const;
};
struct SubGraph {
  const flatbuffers::Vector<flatbuffers::Offset<Tensor>> *tensors() const;
  const flatbuffers::Vector<int32_t> *inputs() const;
  const flatbuffers::Vector<int32_t> *outputs() const;
  const flatbuffers::Vector<flatbuffers::Offset<Operator>> *operators() const;
};
struct Model {
  uint32_t version() const;
  const flatbuffers::Vector<flatbuffers::Offset<OperatorCode>> *operator_codes() const;
  const flatbuffers::Vector<flatbuffers::Offset<SubGraph>> *subgraphs() const;
  const flatbuffers::Vector<flatbuffers::Offset<Buffer>> *buffers() const;
};
const Model *GetModel(const void *buf);
bool VerifyModelBuffer(flatbuffers::Verifier &verifier);
}  // namespace tflite

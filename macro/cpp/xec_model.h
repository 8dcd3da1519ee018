// Predictions of an exported model for the events of an analyzer: raw sensor readings in, physical quantities out.
//
//   xec::Model model("model.onnx");             // once; any number of threads may share it
//   xec::Batch batch(model, 8);                 // one for each thread: room for 8 events
//   std::copy(..., batch.npho(0));              // 4760 photon counts and times of each event, by sensor id
//   std::copy(..., batch.time(0));
//   model.run(batch, 1);
//   double energy_gev = batch.value("energy", 0);
//
// Whatever goes wrong is an exception of the type xec::Error, whose what() says what to do.
#ifndef XEC_MODEL_H
#define XEC_MODEL_H

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace xec {

/// Sensors of the detector; an array of readings holds one value for each, in the order of the sensor ids.
constexpr std::size_t kNumSensors = 4760;

/// The reading of a sensor that measured nothing.
constexpr float kNoValue = 1e10f;

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One named output of a model.
struct Output {
  std::string name;                 ///< such as "energy", "uvwFI" or "energy_sigma"
  std::string role;                 ///< "value", "error", "probability", "restored" or "token"
  std::string unit;                 ///< such as "GeV" or "cm"
  std::vector<std::string> labels;  ///< name of each component; of each sensor's or token's, where there are many
  std::size_t width;                ///< numbers per event
};

class Batch;

/// An exported file, ready to run. Constant after construction, so threads may share it without a lock.
class Model {
 public:
  /// Loads a file of macro/export_onnx.py and checks that it is one that this code understands.
  ///
  /// @param path The file.
  /// @param num_threads Threads within one run; 0 takes one per core. Analyzers with threads of their own want 1.
  explicit Model(const std::string& path, int num_threads = 1);
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  const std::vector<Output>& outputs() const;

  /// Place of an output among outputs().
  std::size_t index(const std::string& name) const;

  /// Whether the model asks which sensors are dead: an inpainter, or a regressor behind one.
  bool takes_dead() const;

  /// A property of the file, such as "xec_npho_branch" or "xec_revision"; docs/export.md lists them.
  std::string property(const std::string& key) const;

  /// Version of the runtime that computes.
  static std::string runtime_version();

  /// Predicts the first num_events events of a batch. A batch belongs to one thread at a time.
  void run(Batch& batch, std::size_t num_events) const;

 private:
  friend class Batch;
  struct Session;
  std::unique_ptr<Session> session_;
};

/// Room for the readings and the predictions of some events. All memory is taken here; runs take none.
class Batch {
 public:
  /// @param model Must outlive the batch.
  /// @param capacity Largest number of events of a run.
  Batch(const Model& model, std::size_t capacity);
  ~Batch();
  Batch(Batch&&) noexcept;
  Batch& operator=(Batch&&) noexcept;

  std::size_t capacity() const;

  /// Photon counts of an event to be filled, kNumSensors long; kNoValue at first.
  float* npho(std::size_t event);

  /// Times of an event in seconds to be filled, kNumSensors long; kNoValue at first.
  float* time(std::size_t event);

  /// Which sensors of an event are dead, kNumSensors long; none at first. Only where the model takes it.
  bool* dead(std::size_t event);

  /// Output of an event by its place among the model's outputs: its width in numbers. Valid until the next run.
  const float* output(std::size_t index, std::size_t event) const;

  /// One number of an output by name; a search among a few names, for which nothing is allocated.
  float value(const std::string& name, std::size_t event, std::size_t component = 0) const;

 private:
  friend class Model;
  struct Tensors;
  std::unique_ptr<Tensors> tensors_;
};

}  // namespace xec

#endif

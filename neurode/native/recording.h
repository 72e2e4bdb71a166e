// A step recorded with all that its way back needs, and the weight gradients that come of it.
#ifndef NEURODE_RECORDING_H
#define NEURODE_RECORDING_H

#include "evaluation.h"
#include "outer_product.h"
#include "store.h"
#include "transposed.h"

namespace NEURODE_VARIANT {

// Blocks of one recorded step: inputs and slopes of every layer at every stage.
template <class T>
class StepRecording {
public:
    StepRecording(const Network<T>& network, int stages) : layers_(network.count()), pointers_(2 * layers_ * stages) {
        const int64_t inputs = input_numbers(network, stages);
        int64_t slopes = 0;
        for (int i = 0; i < layers_; ++i) slopes += size(network, 1, i) * stages;
        numbers_.resize(inputs + slopes);
        place(network, stages, 0, numbers_.data());
        place(network, stages, 1, numbers_.data() + inputs);
    }
    // Without memory of its own, for fields whose slopes follow from values: `put_inputs` says where inputs go.
    struct Elsewhere {};
    StepRecording(const Network<T>& network, int stages, Elsewhere)
        : layers_(network.count()), pointers_(2 * layers_ * stages) {}
    // With the inputs elsewhere; null: in its own memory.
    void put_inputs(const Network<T>& network, int stages, T* inputs) {
        place(network, stages, 0, inputs == nullptr ? numbers_.data() : inputs);
    }
    Recording<T> stage(int s) const {
        return {pointers_.data() + s * 2 * layers_, pointers_.data() + (s * 2 + 1) * layers_};
    }
    static int64_t size(const Network<T>& network, int side, int i) {
        return whole_features(side == 0 ? network.layer(i).in : network.layer(i).out) * BLOCK;
    }
    static int64_t input_numbers(const Network<T>& network, int stages) {
        int64_t total = 0;
        for (int i = 0; i < network.count(); ++i) total += size(network, 0, i) * stages;
        return total;
    }

private:
    // A layer's stages follow each other, so that one product sums over them all.
    void place(const Network<T>& network, int stages, int side, T* at) {
        for (int i = 0; i < layers_; ++i)
            for (int s = 0; s < stages; ++s) {
                pointers_[(s * 2 + side) * layers_ + i] = at;
                at += size(network, side, i);
            }
    }
    const int64_t layers_;
    Array<T*> pointers_;
    Array<T> numbers_;
};

// What steps keep of their inside, step after step and block after block: the inputs of all layers at all stages, and
// the slopes of the stages. A step that was not accepted leaves its place to the next.
template <class T>
class Activations {
public:
    Activations() = default;
    Activations(const Activations&) = delete;
    Activations& operator=(const Activations&) = delete;
    ~Activations() {
        for (int64_t i = 0; i < steps_.count(); ++i) neurode_give_memory(*steps_.at(i), bytes_);
    }
    // bytes: to be spent at most.
    void shape(const Network<T>& network, int stages, int64_t blocks, int64_t bytes) {
        inputs_ = StepRecording<T>::input_numbers(network, stages);
        block_ = inputs_ + static_cast<int64_t>(network.dim()) * BLOCK * stages;
        const int64_t step = (block_ * blocks * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
        bytes_ = static_cast<size_t>(step);
        most_ = network.slopes_of_values() && step > 0 ? bytes / step : 0;
        steps_.shape(1, 512);
    }
    // The place for the step after `accepted` ones; null beyond what may be spent.
    T* begin(int64_t accepted) {
        if (accepted >= most_) return nullptr;
        if (accepted == steps_.count()) {
            T* memory = static_cast<T*>(neurode_take_memory(bytes_));
            if (memory == nullptr) throw OutOfMemory();
            *steps_.add() = memory;
        }
        return *steps_.at(accepted);
    }
    // May anything be kept?
    bool keeps() const { return most_ > 0; }
    // Of the step with that number, the first being 0; null where it was not kept.
    T* step(int64_t number) const { return number < steps_.count() ? *steps_.at(number) : nullptr; }
    int64_t of_block() const { return block_; }
    int64_t of_inputs() const { return inputs_; }
    int64_t count() const { return steps_.count(); }
    int64_t bytes() const { return static_cast<int64_t>(bytes_) * steps_.count(); }

private:
    int64_t inputs_ = 0, block_ = 0, most_ = 0;
    size_t bytes_ = 0;
    Rows<T*> steps_;
};

// Weight gradients of `stages` stages from `first` on, all at once: a product whose long sum runs over samples and
// stages. turned: scratch.
template <class T>
void add_weights(const Network<T>& network, const neurode_field& field, const StepRecording<T>& recording, int first,
                 int stages, Array<T>& turned, Sums<T>& sums) {
    for (int i = 0; i < network.count(); ++i) {
        if (field.layers[i].gradient == nullptr) continue;
        const Layer<T>& layer = network.layer(i);
        const Recording<T> begin = recording.stage(first);
        const T *inputs = begin.input[i], *deltas = begin.slope[i];
        const int64_t of_inputs = StepRecording<T>::size(network, 0, i);
        const int64_t of_deltas = StepRecording<T>::size(network, 1, i);
        const T* along = layer.along_out ? deltas : inputs;
        const int64_t of_along = layer.along_out ? of_deltas : of_inputs;
        for (int s = 0; s < stages; ++s)
            transpose<T>(along + s * of_along, layer.along_out ? layer.out : layer.in,
                         turned.data() + s * BLOCK * layer.gradient_stride, layer.gradient_stride);
        add_outer_products<T>(layer.gradient_rows, layer.along_out ? inputs : deltas,
                              layer.along_out ? of_inputs : of_deltas, turned.data(), layer.gradient_stride, stages,
                              sums.weights.data() + layer.gradient_at);
    }
}

// Numbers that `turned` has to hold for it.
template <class T>
int64_t turned_numbers(const Network<T>& network, int stages) {
    int64_t widest = 0;
    for (int i = 0; i < network.count(); ++i)
        widest = network.layer(i).gradient_stride > widest ? network.layer(i).gradient_stride : widest;
    return widest * BLOCK * stages;
}

}  // namespace NEURODE_VARIANT

#endif
